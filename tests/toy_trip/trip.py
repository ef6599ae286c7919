"""Runs kd commands, one after the other, in a process of its own: what each printed, its exit code and what it imported."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT = """
import contextlib, io, json, sys
from cli.app import run
import warnings
warnings.simplefilter("ignore")

for line in json.load(open(sys.argv[1])):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(line)
    heavy = sorted(name for name in ("torch", *sys.argv[2:]) if name in sys.modules)
    print(json.dumps({"words": line, "code": code, "out": out.getvalue(), "err": err.getvalue(), "imported": heavy}))
"""


@dataclass(frozen=True)
class Ran:
    """One command."""

    words: list[str]
    code: int
    out: str
    err: str
    imported: list[str]

    @property
    def answer(self) -> Any:
        """What it printed with --json."""
        assert self.code == 0, f"kd {' '.join(self.words)}: exit code {self.code}\n{self.err}"
        return json.loads(self.out)


def run(package: Path, folder: Path, commands: list[str], *, watched: tuple[str, ...] = ()) -> list[Ran]:
    """Run commands in a folder with a package on the import path. `watched`: modules whose import is noted."""
    folder.mkdir(exist_ok=True)
    script, lines = folder / "commands.py", folder / "commands.json"
    script.write_text(SCRIPT, "utf-8")
    lines.write_text(json.dumps([line.split() for line in commands]), "utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(lines), *watched],
        cwd=folder,
        env=environment(package),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ran = [Ran(**json.loads(line)) for line in done.stdout.splitlines()]
    for command in ran:
        assert command.code == 0, f"kd {' '.join(command.words)}: exit code {command.code}\n{command.err}"
    return ran


def environment(package: Path) -> dict[str, str]:
    """This process's, with the package and this checkout on the import path."""
    paths = os.pathsep.join([str(package), str(ROOT)])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
