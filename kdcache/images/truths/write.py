"""Write `truths.arrow` from records of any origin.

Input: one object per image, `{"image_id": …, "words": […], …}`, as in a line of `truths.jsonl`. Output: the file, checked.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from kdcache.base.arrow_file import arrow_writer
from kdcache.base.atomic import staged
from kdcache.errors import UsageError
from kdcache.images.truths.kinds import NotThatTruth, kind_of
from kdcache.images.truths.table import ARROW, IDS

ROWS = 256
"""Rows of a record batch. A batch is checked as a whole when a value in it is first read."""


def write_truths(folder: Path | str, columns: Iterable[str], records: Iterable[Mapping[str, Any]]) -> Path:
    """Write the truths of images into a folder, replacing existing ones; returns the path of the file."""
    names, rows, path = tuple(columns), iter(records), Path(folder) / ARROW
    for name in names:
        if kind_of(name).from_listing:
            raise UsageError(f"{name} is not stored in {ARROW}", hint="it comes with the images")
    schema = pa.schema([(name, pa.large_string()) for name in (IDS, *names)])
    done = 0
    with staged(path) as file:
        with arrow_writer(schema, file.write) as writer:
            while some := list(islice(rows, ROWS)):
                texts = [
                    [_text(name, record, done + place) for place, record in enumerate(some)] for name in schema.names
                ]
                writer.write_batch(
                    pa.record_batch([pa.array(each, pa.large_string()) for each in texts], schema=schema)
                )
                done += len(some)
        file.flush()
        file.commit()
    return path


def _text(name: str, record: Mapping[str, Any], row: int) -> str | None:
    value = record.get(name)
    if name == IDS:
        if not isinstance(value, str):
            raise UsageError(f"the {IDS} of record {row} is missing or not a text", hint="name its image")
        return value
    if value is None:
        return None
    kind = kind_of(name)
    try:
        plain = kind.plain(kind.check(value))
    except NotThatTruth as reason:
        raise UsageError(f"{name} of record {row} ({record.get(IDS)}) cannot be used: {reason}") from reason
    return str(plain) if kind.plain_text else json.dumps(plain, ensure_ascii=False)
