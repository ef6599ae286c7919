"""What a kill -9 would leave of a folder: how it looks before every call that changes a name in it.

The files are linked, not copied, as none is written to once it has its name; those that are written in place are copied.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CALLS = ("open", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync")
IN_PLACE = ("metrics.jsonl", "lock")


@contextmanager
def moments(folder: Path, out: Path) -> Iterator[list[tuple[set[str], Path]]]:
    """Run the block, in which a folder is worked on -> every set of names that stood in it, and a copy as it was then.

    Copies with the same names and the same JSON are one; of those the one with most temporary files is kept.
    """
    found: list[tuple[set[str], Path]] = []
    busy, known = False, {}

    def look() -> None:
        nonlocal busy
        if busy or not folder.exists():
            return
        busy = True
        try:
            paths = list(folder.rglob("*"))
            named = [path for path in paths if ".tmp-" not in str(path)]
            state = frozenset((path, path.read_bytes() if path.suffix == ".json" else b"") for path in named)
            place, most = known.get(state, (len(known), -1))
            if len(paths) > most:
                known[state] = place, len(paths)
                copy = out / f"moment-{place}"
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(folder, copy, copy_function=_linked)
                found[place:] = [({str(path.relative_to(folder)) for path in named}, copy), *found[place + 1 :]]
        finally:
            busy = False

    def before(real):
        def call(*args, **kwargs):
            look()
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, before(getattr(os, name)))
        yield found
        look()


def _linked(source: str, target: str) -> str:
    if source.endswith(IN_PLACE):
        return shutil.copy2(source, target)
    os.link(source, target)
    return target
