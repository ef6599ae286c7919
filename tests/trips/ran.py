"""The commands whose trips are counted, and one run of each: counted, or plain and timed.

Input: an empty folder. Output: what happened inside a command and its children, or the seconds it took.
"""

import json
import os
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOOK = Path(__file__).parent / "hook"
COMMANDS = (
    "kd --help",
    "kd cache build --teacher florence --data shapes:count=200",
    "kd train --student tinyvit-5m --steps 1",
    "kd compare on-stream off-stream --steps 2 --repeat 1 --images 64 --train-batch 8 --student-size 32",
)
"""in this order in one folder: the training learns from the cache that was built before it"""
Happening = dict[str, Any]


def packages() -> list[str]:
    """The packages of the project, wherever they are called what."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return found


def counted(folder: Path, commands: Sequence[str] = COMMANDS) -> Iterator[tuple[str, list[Happening]]]:
    """Every command with the hook inside, and what it noted."""
    for number, command in enumerate(commands):
        log = folder / f"trips-{number}.jsonl"
        watched = {
            "TRIPS_LOG": str(log),
            "TRIPS_ROOT": str(ROOT),
            "TRIPS_PACKAGES": os.pathsep.join(packages()),
            "TRIPS_FIRST": "1",
        }
        _run(command, folder, [HOOK, ROOT], watched)
        noted = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        if not any(one["kind"] == "entered" for one in noted):
            raise SystemExit(f"{command}: no function of {', '.join(packages())} was seen; is kd another checkout's?")
        yield command, noted


def timed(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Every command as a user runs it: the seconds it took, and those a core was at work for it and its children."""
    for command in COMMANDS:
        began, worked = time.perf_counter(), _worked()
        _run(command, folder, [ROOT], {})
        yield command, time.perf_counter() - began, _worked() - worked


def _worked() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(command: str, folder: Path, path: list[Path], more: dict[str, str]) -> None:
    """Run `kd` of this environment on the files of this checkout, with none of the settings of who calls."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KD_")}
    env = plain | {"PYTHONPATH": os.pathsep.join(map(str, path))} | more
    words = [str(Path(sys.executable).with_name("kd")), *command.split()[1:]]
    done = subprocess.run(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command} ended with exit code {done.returncode}:\n{done.stderr}")
