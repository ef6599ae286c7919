"""`make trips LABEL=after`: how far a command travels through the source, how often it lists images and opens caches.

    python -m tests.trips --label after        # writes docs/results/trips.md and .json

A label is a column: it is added beside those that are there, or replaces the one of its name, so that a change can be held
against what was before it.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.trips.column import Column, children, entered, figures, origins
from tests.trips.page import page
from tests.trips.ran import COMMANDS, ROOT, counted, timed

RESULTS = ROOT / "docs" / "results"
ROUNDS = 3


def main(words: list[str]) -> None:
    """Measure, and write down beside what was measured before."""
    parser = argparse.ArgumentParser(prog="python -m tests.trips")
    parser.add_argument("--label", default="today", help="name of the column")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs that are timed; the median is told")
    options = parser.parse_args(words)
    kept = RESULTS / "trips.json"
    columns: dict[str, Column] = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    columns[options.label] = measured(options.label, options.rounds)
    kept.write_text(json.dumps(columns, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = page(columns)
    (RESULTS / "trips.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def measured(label: str, rounds: int) -> Column:
    """One column. The counted runs come first, so that no timed one has to compile the sources or read them from disk."""
    with tempfile.TemporaryDirectory() as folder:
        noted = dict(counted(Path(folder)))
    load = os.getloadavg()[0]
    wall: dict[str, list[float]] = {command: [] for command in COMMANDS}
    cores: dict[str, list[float]] = {command: [] for command in COMMANDS}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for command, took, worked in timed(Path(folder)):
                wall[command].append(round(took, 3))
                cores[command].append(round(worked, 3))
    return {
        "command": f"make trips LABEL={label}",
        "machine": machine(),
        "load": load,
        "rounds": rounds,
        "commands": {
            command: {
                "figures": figures(noted[command], wall[command], cores[command]),
                "seconds": wall[command],
                "seconds of a core": cores[command],
                "children": children(noted[command]),
                "entered": entered(noted[command]),
                "origins": origins(noted[command]),
            }
            for command in COMMANDS
        },
    }


def machine() -> str:
    """What it ran on."""
    cores = len(os.sched_getaffinity(0))
    device = "a GPU" if Path("/dev/nvidia0").exists() else "no GPU"
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    return (
        f"{cores} cores of {platform.machine()}, {device}, Python {platform.python_version()}, torch {version('torch')}, "
        f"OMP_NUM_THREADS {threads}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
