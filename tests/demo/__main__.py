"""`make demo`: what a cache is good for, told by four commands on the embedded images, in about ten minutes on two cores.

    python -m tests.demo            # in the folder where ./kd is to be made

Each command is printed before it runs. What it does is shown while it runs; what it found is told in a few lines.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.demo.story import built, compared, stored, trained

BUILD = ("cache", "build", "--teacher", "florence")
INFO = ("cache", "info")
GET = ("cache", "get", "train/000007")
TRAIN = ("train", "--student", "tinyvit-5m")
EVAL = ("eval", "LATEST")
COMPARE = ("compare", "on-stream", "off-stream")


def main() -> None:
    """Run the commands, and tell what they found."""
    began = time.monotonic()
    say("1. The teacher runs once.", BUILD)
    cache = answer(*BUILD)
    tell(built(cache, answer(*INFO)))
    say("2. What it said is a small file.", GET)
    tell(stored(answer(*INFO), answer(*GET)))
    say("3. A student learns from the file, with no teacher in the process.", TRAIN)
    run = answer(*TRAIN)
    tell(trained(run, answer(*EVAL), Path(__file__).parents[2] / "docs" / "results"))
    say("4. What that saves, measured side by side.", COMPARE)
    tell(compared(answer(*COMPARE)))
    tell([f"All of this took {(time.monotonic() - began) / 60:.0f} minutes. It is in ./kd; `make clean` removes it."])


def say(title: str, command: tuple[str, ...]) -> None:
    """Print a heading and the command below it."""
    tell([f"\n{title}", f"   $ kd {' '.join(command)}"])


def tell(lines: list[str]) -> None:
    """Print some lines."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def answer(*words: str) -> dict[str, Any]:
    """Run a command, whose progress is shown, and return what it answers with --json. Ends the demo if the command fails."""
    code = "from cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code, *words, "--json"], stdout=subprocess.PIPE, check=False, env=os.environ
    )
    if ran.returncode:
        sys.exit(ran.returncode)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    main()
