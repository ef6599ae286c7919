"""Receipts and compressed blocks made by a stranger, all digests right: they are held against the files, and nothing inflates."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcache.base.progress import Silent
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.codecs import make_codec
from kdcache.errors import Damage
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.compression import NotThatBlock, compressor
from tests.store.crafted import PART, change_receipt, replace_block, zstd_bomb
from tests.store.strangers import every_reader, refuses

pytestmark = pytest.mark.timeout(60)


def _first(record: dict[str, Any], field: str = "embedding") -> dict[str, Any]:
    return record["fields"][field]


def _lie(key: str, value: Any, field: str = "embedding") -> Any:
    return lambda record: record["fields"][field].update({key: value})


def _ends_behind(record: dict[str, Any]) -> None:
    seal = _first(record)
    seal["offset"] = next(file["nbytes"] for file in record["files"] if file["path"] == seal["file"]) - 8


LIES = {
    "more bytes than the file": _lie("nbytes", 1 << 40),
    "no bytes": _lie("nbytes", 0),
    "negative bytes": _lie("nbytes", -4096),
    "begins far behind": _lie("offset", 1 << 40),
    "begins before": _lie("offset", -4096),
    "begins so that it ends behind": _ends_behind,
    "an offset of many digits": _lie("offset", 10**40),
    "more rows": lambda r: _first(r).update(shape=[1 << 40, 12]),
    "other rows": lambda r: r.update(rows=1 << 40),
    "no rows": lambda r: r.update(rows=0),
    "other first row": lambda r: r.update(first_row=0),
    "another dtype": _lie("dtype", "<f8"),
    "objects": _lie("dtype", "O"),
    "blocks of no rows": _lie("block_rows", 0),
    "larger blocks": _lie("block_rows", 1 << 40),
    "fewer checksums": lambda r: _first(r)["blocks"].pop(),
    "no checksums": _lie("blocks", []),
    "checksums that are none": lambda r: _first(r).update(blocks=["zz"] * len(_first(r)["blocks"])),
    "compressed": lambda r: _first(r).update(stored=[[0, 1 << 40]] * len(_first(r)["blocks"])),
    "a field of the part": _lie("per_part", True),
    "a scale of rows": _lie("per_part", False, "features_scale"),
    "a large scale": _lie("shape", [1 << 40], "features_scale"),
    "no field": lambda r: r["fields"].pop("embedding"),
    "another field": lambda r: r["fields"].update(more=_first(r)),
    "no file": lambda r: r.update(files=[]),
    "a file of no bytes": lambda r: r["files"][0].update(nbytes=0),
    "a file of many bytes": lambda r: r["files"][0].update(nbytes=1 << 70),
    "a file of fewer bytes than none": lambda r: r["files"][0].update(nbytes=-1),
    "another compression": lambda r: r.update(compression="zstd:3"),
    "another format": lambda r: r.update(format=2),
    "a bad row of another part": lambda r: r.update(bad={"0": "far away"}),
    "a bad row of no part": lambda r: r.update(bad={str(1 << 70): "far away"}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_receipt_that_lies_is_damage_to_every_reader(cache: Path, lie: str) -> None:
    change_receipt(cache, LIES[lie])
    refuses(cache, "part v000/000001")


SPANS = {
    "beyond the file": lambda stored: [[1 << 40, 10], *stored[1:]],
    "longer than the file": lambda stored: [[0, 1 << 40], *stored[1:]],
    "before the file": lambda stored: [[-10, 10], *stored[1:]],
    "empty": lambda stored: [[0, 0], *stored[1:]],
    "fewer": lambda stored: stored[1:],
    "all of them the whole file": lambda stored: [[0, stored[-1][0]] for _ in stored],
    "none": lambda stored: None,
}


@pytest.mark.parametrize("lie", SPANS)
def test_compressed_blocks_lie_in_their_file(tmp_path: Path, finished_cache: Any, backend: str, lie: str) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(finished_cache(backend, "zstd:3").store.path, cache)
    change_receipt(cache, lambda record: _first(record).update(stored=SPANS[lie](_first(record)["stored"])))
    refuses(cache, "part v000/000001")


# what inflates


@pytest.mark.parametrize("declares", [1_900_000_000, None, "block"])
def test_a_small_block_does_not_inflate_to_gigabytes(tmp_path: Path, finished_cache: Any, declares: Any) -> None:
    import resource

    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("zarr", "zstd:3").store.path, cache)
    field = Store.open(cache).fields["embedding"]
    size = Store.open(cache).plan.layout.block_rows["embedding"] * field.row_bytes
    bomb = zstd_bomb(1_900_000_000, declares=size if declares == "block" else declares)
    assert len(bomb) < 62_000
    replace_block(cache, "embedding", 0, bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("stream", "map", "convert"):
        with pytest.raises(Damage, match=r"part v000/000001, field 'embedding', rows \d+-\d+: damaged, it "):
            every_reader(cache)[name]()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("place", [0, 3, 4, 8, 12, 15, 16, 20])
def test_a_blosc_block_that_lies_is_damage(tmp_path: Path, finished_cache: Any, place: int) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("hdf5", "blosc:5").store.path, cache)
    store = Store.open(cache)
    seal = store.receipt(PART).fields["embedding"]
    block = bytearray(store.place.read_range(seal.file, *seal.span(0)))
    block[place] ^= 0xFF
    replace_block(cache, "embedding", 0, bytes(block))
    whose = r"part v000/000001, field 'embedding'"
    with pytest.raises(Damage, match=whose) if place in (0, 3, 4, 12) else suppress(Damage):
        Store.open(cache).map_part(PART)["embedding"].whole()


@pytest.mark.parametrize("compression", ["zstd:3", "blosc:5"])
@pytest.mark.parametrize("tenths", [5, 20])
def test_a_block_of_another_size_is_not_filled_up_or_cut(
    tmp_path: Path, finished_cache: Any, compression: str, tenths: int
) -> None:
    """It inflates without a fault, to fewer or to more bytes than a block of this field has."""
    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("zarr", compression).store.path, cache)
    store = Store.open(cache)
    size = store.plan.layout.block_rows["embedding"] * store.fields["embedding"].row_bytes
    other = size * tenths // 10
    replace_block(cache, "embedding", 0, compressor(compression, 4).encode(bytes(range(1, 97)) * (other // 96)))
    message = f"it would decompress to {other:,} bytes, a block has {size:,}"
    for name in ("stream", "unchecked stream", "map", "convert"):
        with pytest.raises(Damage, match=message):
            every_reader(cache)[name]()
    [finding] = verify(cache, VerifyOptions(untrusted=True), Silent()).findings
    assert message in finding.what


@pytest.mark.parametrize("inner", [0, 257, 1 << 31, (1 << 32) - 1])
def test_a_blosc_block_in_pieces_that_are_none_is_refused(inner: int) -> None:
    """The library looks at the size of the pieces before it takes up memory for them."""
    tool = compressor("blosc:5", 4)
    stored = bytearray(tool.encode(bytes(256)))
    block = bytearray(b"x" * 256)
    tool.decode(stored, memoryview(block))
    assert block == bytes(256)
    stored[8:12] = inner.to_bytes(4, "little")
    with pytest.raises(NotThatBlock):
        tool.decode(stored, memoryview(block))


@pytest.mark.parametrize("codec", ["topk:5", "tinyvit:5"])
def test_classes_that_are_none_do_not_come_out(codec: str) -> None:
    top = make_codec(codec, Signal(name="logits", shape=(40,)))
    words = np.zeros((1, *top.fields()[0].shape), "<u2")
    words[0, :7] = 39
    assert top.decode({"logits": words}).ids.max() == 39
    words[0, 3] = 40
    with pytest.raises(Damage, match="class 40 of only 40"):
        top.decode({"logits": words})


def test_an_untrusted_cache_is_held_against_its_plan_before_anything_is_mapped(
    tmp_path: Path, finished_cache: Any, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("zarr", "zstd:3").store.path, cache)
    ask = VerifyOptions(untrusted=True)
    assert verify(cache, ask, Silent()).ok
    replace_block(cache, "embedding", 0, zstd_bomb(1_900_000_000, declares=None))
    assert verify(cache, VerifyOptions(), Silent()).ok  # every byte is what the receipt says
    [found] = verify(cache, ask, Silent()).findings
    assert found.part == PART
    assert "it is not compressed as the plan requires" in found.what
    monkeypatch.setattr("mmap.mmap", None)
    (cache / "more").symlink_to(outside)
    os.mkfifo(cache / "views" / "pipe")
    change_receipt(cache, _lie("nbytes", 1 << 40))
    findings = "\n".join(map(str, verify(cache, ask, Silent()).findings))
    assert "more is a link" in findings
    assert "views/pipe is a pipe" in findings
    assert "does not fit the plan: field 'embedding'" in findings
