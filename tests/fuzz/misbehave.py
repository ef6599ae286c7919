"""Does on purpose what the code under test must never do, so that a test can see that it would not go unnoticed."""

import ctypes
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz import drive, ends, right
from tests.fuzz.case import Case


def misbehaving(box: Path, case: Case, _: Any) -> Any:
    """An operation called `misbehave`."""
    how = str(case.changes[0]["how"])

    def driven(begin: Callable[[str], None]) -> Any:
        begin("misbehave")
        yield ends.ended("misbehave", functools.partial(WAYS[how], box))

    return driven


def _hang(box: Path) -> None:
    while True:
        pass


def _wait(box: Path) -> None:
    time.sleep(3600)


def _grow(box: Path) -> None:
    _ = b"x" * (5 << 28)


def _crash(box: Path) -> None:
    ctypes.string_at(8)


def _write(box: Path) -> None:
    (box / "in/victim/canary").write_text("spoilt")


def _create(box: Path) -> None:
    (box / "in/new").write_text("new")


def _remove(box: Path) -> None:
    os.unlink(box.parent / "victim/c.0")


def _alter(box: Path) -> None:
    """A row that is another than it was, its digests right, read as if nobody had touched it."""
    cache = box / "in/cache"
    receipt = next(iter(right.receipts_of(cache)))
    seal = json.loads(receipt.read_bytes())["fields"]["embedding"]
    content = bytearray((cache / seal["file"]).read_bytes())
    content[seal["offset"] + 3] ^= 1
    right.put_part(cache, receipt, seal["file"], bytes(content))
    drive.streamed(drive.Box(box, "caches/plain", False), shuffle=False)


def _fail(box: Path) -> None:
    raise ValueError("no KDError")


WAYS: dict[str, Callable[[Path], None]] = {
    "hang": _hang, "wait": _wait, "grow": _grow, "crash": _crash, "write": _write, "create": _create, "remove": _remove,
    "alter": _alter, "fail": _fail,
}  # fmt: skip
