"""Makes every digest of a changed cache right again, as an attacker would: what is left to find is what no digest can tell.

The self-digest of a sealed record, the identity in the plan and in the receipts, the digest of the index in the plan, and
those of blocks and files in a receipt. Written from docs/format.md, so that a slip of the code under test is no slip of the test.
"""

import json
import re
from pathlib import Path
from typing import Any

import xxhash

_DIGEST = re.compile(rb'"digest"\s*:\s*"([0-9a-f]{32})"')
ZEROS = b"0" * 32


def resealed(content: bytes) -> bytes:
    """A sealed record with its own digest made right; as it is where none stands in it."""
    match = _DIGEST.search(content)
    if match is None:
        return content
    blank = content[: match.start(1)] + ZEROS + content[match.end(1) :]
    digest = xxhash.xxh3_128_hexdigest(blank).encode()
    return blank[: match.start(1)] + digest + blank[match.end(1) :]


def written(record: dict[str, Any]) -> bytes:
    """A record as a sealed file."""
    return resealed(json.dumps({**record, "digest": ZEROS.decode()}).encode())


def seal_file(path: Path, content: bytes) -> None:
    """Write a sealed file."""
    path.write_bytes(resealed(content))


def receipts_of(cache: Path) -> list[Path]:
    """The receipts of a cache."""
    return sorted((cache / "parts").glob("v*/*.json"))


def identity_of(content: bytes) -> str | None:
    """The identity a plan has now; None where it is none."""
    from kdcache.store.plan import Plan

    try:
        record = json.loads(content)
        record.pop("digest"), record.pop("identity")
        return Plan.from_plain(record).identity
    except Exception:  # noqa: BLE001  (what a hostile plan raises is for the code under test to say)
        return None


def put_plan(cache: Path, content: bytes) -> None:
    """Write a plan, its identity and digest made right, and the identity in every receipt."""
    before = json.loads((cache / "plan.json").read_bytes())["identity"].encode()
    after = identity_of(content)
    if after is not None and before != after.encode():
        content = content.replace(before, after.encode(), 1)
        for path in receipts_of(cache):
            seal_file(path, path.read_bytes().replace(before, after.encode(), 1))
    seal_file(cache / "plan.json", content)


def put_index(cache: Path, content: bytes) -> None:
    """Write an index, and its digest into the plan."""
    (cache / "index.arrow").write_bytes(content)
    plan = (cache / "plan.json").read_bytes()
    before = json.loads(plan)["dataset"]["index_digest"].encode()
    put_plan(cache, plan.replace(before, xxhash.xxh3_128_hexdigest(content).encode(), 1))


def put_part(cache: Path, receipt: Path, name: str, content: bytes) -> None:
    """Write a file of a part, and the digests of its blocks and of the whole into the receipt."""
    (cache / name).write_bytes(content)
    record = json.loads(receipt.read_bytes())
    for field in record["fields"].values():
        if field["file"] == name:
            field["blocks"] = [
                xxhash.xxh3_64_hexdigest(content[start : start + size]) for start, size in spans_of(field)
            ]
    for file in record["files"]:
        if file["path"] == name:
            file |= {"nbytes": len(content), "digest": xxhash.xxh3_128_hexdigest(content)}
    receipt.write_bytes(written(record))


def spans_of(field: dict[str, Any]) -> list[tuple[int, int]]:
    """(offset, bytes) of every block of a field, as it is stored."""
    if field["stored"] is not None:
        return [tuple(span) for span in field["stored"]]
    if field["per_part"]:
        return [(field["offset"], field["nbytes"])]
    rows, block = field["shape"][0], field["block_rows"]
    row = field["nbytes"] // rows
    return [(field["offset"] + first * row, min(block, rows - first) * row) for first in range(0, rows, block)]
