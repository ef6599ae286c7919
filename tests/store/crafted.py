"""Caches as a stranger would make them: any record changed, every digest made right again."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash

from kdcache.base.digest import block_hash
from kdcache.store import Store
from kdcache.store.plan import PartId, Plan
from kdcache.store.self_checked import seal

PART = PartId(0, 1)


def write_plan(cache: Path, plan: Plan, **record: Any) -> None:
    """plan.json of a plan made with `model_copy`, which checks nothing; `record` replaces keys of it."""
    (cache / "plan.json").write_bytes(seal({"identity": plan.identity} | plan.plain() | record, indent=2))


def change_receipt(cache: Path, change: Callable[[dict[str, Any]], object], part: PartId = PART) -> None:
    """The receipt of a part with something changed in it."""
    path = cache / "parts" / f"{part}.json"
    record = json.loads(path.read_bytes())
    record.pop("digest")
    change(record)
    path.write_bytes(seal(record))


def adopt_plan(cache: Path, plan: Plan) -> None:
    """Another plan, and every receipt made one of it."""
    write_plan(cache, plan)
    for path in (cache / "parts").rglob("*.json"):
        part = PartId(int(path.parent.name[1:]), int(path.stem))
        change_receipt(cache, lambda record: record.update(plan=plan.identity), part)


def adopt_index(cache: Path, raw: bytes) -> Store:
    """Other bytes as the index, which everything else is made to agree with."""
    plan = Store.open(cache).plan
    (cache / "index.arrow").write_bytes(raw)
    data = plan.dataset.model_copy(update={"index_digest": xxhash.xxh3_128_hexdigest(raw)})
    adopt_plan(cache, plan.model_copy(update={"dataset": data}))
    return Store.open(cache)


def replace_block(cache: Path, field: str, block: int, stored: bytes, part: PartId = PART) -> None:
    """Other bytes as a compressed block, at the end of its file; receipt, checksum and digest agree with them."""

    def change(record: dict[str, Any]) -> None:
        seal_of = record["fields"][field]
        path = cache / seal_of["file"]
        raw = path.read_bytes() + stored
        path.write_bytes(raw)
        seal_of["stored"][block] = [len(raw) - len(stored), len(stored)]
        seal_of["blocks"][block] = block_hash(stored)
        file = next(file for file in record["files"] if file["path"] == seal_of["file"])
        file.update(nbytes=len(raw), digest=xxhash.xxh3_128_hexdigest(raw))

    change_receipt(cache, change, part)


def zstd_bomb(nbytes: int, *, declares: int | None) -> bytes:
    """A Zstandard frame of `nbytes` zeros in blocks of one repeated byte: 4 bytes each 128 KiB. `declares`: its claimed size."""
    piece = 128 << 10
    head = b"\x28\xb5\x2f\xfd" + (b"\x00" if declares is None else b"\xc0") + b"\x38"
    size = b"" if declares is None else struct.pack("<Q", declares)
    count = -(-nbytes // piece)
    blocks = [((piece << 3) | 2 | (place == count - 1)).to_bytes(3, "little") + b"\x00" for place in range(count)]
    return head + size + b"".join(blocks)
