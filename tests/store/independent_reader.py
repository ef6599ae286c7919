"""A reader of uncompressed caches made from docs/format.md alone: json, numpy and xxhash, nothing of this project."""

import json
from pathlib import Path

import numpy as np
import xxhash


class Damaged(Exception):
    pass


def unsealed(path: Path) -> dict:
    raw = path.read_bytes()
    record = json.loads(raw)
    digest = record["digest"]
    if xxhash.xxh3_128_hexdigest(raw.replace(digest.encode(), b"0" * 32, 1)) != digest:
        raise Damaged(path)
    return record


class Reader:
    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.plan = unsealed(cache / "plan.json")
        if self.plan["format"] != 1:
            raise Damaged("format")
        self.rows = self.plan["dataset"]["rows"]
        self.parts_per_view = -(-self.rows // self.plan["layout"]["rows_per_part"])

    def receipt(self, view: int, part: int) -> dict:
        receipt = unsealed(self.cache / f"parts/v{view:03d}/{part:06d}.json")
        if (receipt["plan"], receipt["view"], receipt["part"]) != (self.plan["identity"], view, part):
            raise Damaged("a receipt of something else")
        return receipt

    def field(self, view: int, part: int, name: str) -> np.ndarray:
        """All rows of one field of one part, every block checked."""
        receipt = self.receipt(view, part)
        seal = receipt["fields"][name]
        assert seal["stored"] is None
        path = self.cache / seal["file"]
        size = next(file["nbytes"] for file in receipt["files"] if file["path"] == seal["file"])
        if path.stat().st_size != size:
            raise Damaged(path)
        raw = np.memmap(path, np.uint8, "r", seal["offset"], seal["nbytes"])
        rows = 1 if seal["per_part"] else receipt["rows"]
        step = seal["block_rows"] * (seal["nbytes"] // rows)
        for number, expected in enumerate(seal["blocks"]):
            if xxhash.xxh3_64_hexdigest(raw[number * step : (number + 1) * step].tobytes()) != expected:
                raise Damaged((view, part, name, number))
        return raw.view(seal["dtype"]).reshape(seal["shape"])

    def view(self, view: int, name: str) -> np.ndarray:
        """One field of a whole view."""
        return np.concatenate([self.field(view, part, name) for part in range(self.parts_per_view)])

    def bad_rows(self, view: int) -> set[int]:
        return {int(row) for part in range(self.parts_per_view) for row in self.receipt(view, part)["bad"]}
