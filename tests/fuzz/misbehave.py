"""Does on purpose what the code under test must never do, so that a test can see that it would not go unnoticed."""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.case import Case


def drive(box: Path, case: Case, _: Any) -> Any:
    """An operation called `misbehave`."""
    how = str(case.changes[0]["how"])

    def driven(begin: Callable[[str], None]) -> Any:
        begin("misbehave")
        WAYS[how](box)
        yield "misbehave", "ok", ""

    return driven


def _hang(box: Path) -> None:
    while True:
        pass


def _wait(box: Path) -> None:
    time.sleep(3600)


def _grow(box: Path) -> None:
    _ = b"x" * (3 << 29)


def _crash(box: Path) -> None:
    ctypes.string_at(8)


def _write(box: Path) -> None:
    (box / "in/victim/canary").write_text("spoilt")


def _create(box: Path) -> None:
    (box / "in/new").write_text("new")


def _remove(box: Path) -> None:
    os.unlink(box.parent / "victim/c.0")


WAYS: dict[str, Callable[[Path], None]] = {
    "hang": _hang, "wait": _wait, "grow": _grow, "crash": _crash, "write": _write, "create": _create, "remove": _remove,
}  # fmt: skip
