"""`rejected.jsonl`: the images that could not be used, each with its reason.

Input and output: one JSON object a line, `{"image_id": …, "row": …, "reason": …}`, sorted by row, one line a row. The
file is replaced whole: a reader sees the old one or the new one.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kdcache.base import beneath
from kdcache.base.strict import Strict
from kdcache.errors import Damage, StorageError


class Rejected(Strict):
    """One image that was left out."""

    image_id: str
    row: int
    reason: str


def rejected_lines(entries: Iterable[Rejected]) -> Iterator[bytes]:
    """The lines of the file. Where a row is given twice the first reason stands."""
    by_row: dict[int, Rejected] = {}
    for entry in entries:
        by_row.setdefault(entry.row, entry)
    for row in sorted(by_row):
        yield (json.dumps(by_row[row].plain(), ensure_ascii=False) + "\n").encode()


def read_rejected(path: Path) -> list[Rejected]:
    """All entries by row; none when the file is not there. Damage names the line that cannot be read."""
    try:
        with beneath.opened(path.parent, path.name) as descriptor, open(os.dup(descriptor), encoding="utf-8") as file:
            lines = file.read().removesuffix("\n").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    except UnicodeDecodeError as error:
        raise Damage(f"{path} is not UTF-8", hint="delete it; the next build writes it again") from error
    entries = []
    for number, line in enumerate(lines if lines != [""] else [], 1):
        try:
            entries.append(Rejected.from_json(line))
        except ValueError as error:  # of JSON, or of the record
            raise Damage(
                f"line {number} of {path} cannot be read", hint="delete the file; the next build writes it again"
            ) from error
    return entries
