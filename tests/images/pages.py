"""Pages with truths of every kind, in either file."""

import json
from pathlib import Path
from typing import Any

from kdcache.images import open_source
from kdcache.images.truths import Truths, write_truths

PAGES = [f"page{number}.jpg" for number in range(8)]
BOX = [0.1, 0.2, 0.5, 0.25]
RECORDS: list[dict[str, Any]] = [
    {
        "image_id": "page0.jpg",
        "text": "To: Ünal\nTotal 12",
        "questions": [{"question": "Who?", "answers": ["Ünal", "U."]}],
    },
    {
        "image_id": "page1.jpg",
        "words": [{"text": "To:", "box": BOX, "entity": "B-QUESTION"}, {"text": "Ünal", "box": BOX}],
    },
    {"image_id": "page2.jpg", "parse": {"menu": [{"nm": "Tea", "price": 2.5}, {"nm": None}], "paid": True}},
    {
        "image_id": "page3.jpg",
        "layout": [{"label": "Table", "box": BOX}, {"label": "Seal", "polygon": [[0, 0], [1, 0], [1, 1]]}],
    },
    {
        "image_id": "page5.jpg",
        "cells": [{"row": 0, "column": 1, "columns": 2, "text": "2024", "header": True, "box": BOX}],
    },
    {"image_id": "page6.jpg", "description": "a receipt", "questions": []},
    {"image_id": "elsewhere.jpg", "text": "of an image that is not here"},
]
COLUMNS = ("cells", "description", "layout", "parse", "questions", "text", "words")


def as_lines(folder: Path, records: list[dict[str, Any]] = RECORDS) -> None:
    (folder / "truths.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def as_arrow(folder: Path, records: list[dict[str, Any]] = RECORDS) -> None:
    write_truths(folder, COLUMNS, iter(records))


def truths_of(folder: Path | str) -> Truths:
    source = open_source(str(folder))
    listing = source.scan()
    return Truths(source, listing.ids.to_pylist(), listing.labels)
