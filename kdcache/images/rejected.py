"""`rejected.jsonl`: the images that could not be used, each with its reason.

Input and output: one JSON object a line, `{"image_id": …, "row": …, "reason": …}`, one line per row, sorted by row. The
file is replaced as a whole: a reader sees the old one or the new one.
"""

import json
from collections.abc import Iterable, Iterator

from kdcache.base.strict import Strict
from kdcache.errors import Damage


class Rejected(Strict):
    """One image that could not be used."""

    image_id: str
    row: int
    reason: str


def rejected_lines(entries: Iterable[Rejected]) -> Iterator[bytes]:
    """The lines of the file. If a row is given twice, its first reason is kept."""
    by_row: dict[int, Rejected] = {}
    for entry in entries:
        by_row.setdefault(entry.row, entry)
    for row in sorted(by_row):
        yield (json.dumps(by_row[row].plain(), ensure_ascii=False) + "\n").encode()


def parse_rejected(raw: bytes, path: object) -> list[Rejected]:
    """Parse all entries of the file; Damage, naming `path` and the line, if one cannot be read."""
    try:
        lines = raw.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise Damage(f"{path} is not UTF-8", hint="delete it; the next build writes it again") from error
    entries = []
    for number, line in enumerate(lines if lines != [""] else [], 1):
        try:
            entries.append(Rejected.from_json(line))
        except ValueError as error:  # not JSON, or not such a record
            raise Damage(
                f"line {number} of {path} cannot be read", hint="delete the file; the next build writes it again"
            ) from error
    return entries
