"""Caches made by a stranger, all digests right: whatever they say, nothing outside is touched, nothing hangs, nobody crashes."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kdcache import Cache
from kdcache.base import beneath, limits
from kdcache.base.progress import Silent
from kdcache.check.repair import repair
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.codecs import make_codec
from kdcache.errors import Damage, KDError, Mismatch, UsageError
from kdcache.reshape.convert import convert
from kdcache.reshape.merge import merge
from kdcache.reshape.more_views import add_views
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.compression import NotThatBlock, compressor
from kdcache.store.locks import build_lock
from kdcache.store.places.local import LocalPlace
from kdcache.store.plan import PartId
from tests.store.crafted import (
    PART,
    adopt_index,
    adopt_plan,
    change_receipt,
    replace_block,
    write_plan,
    zstd_bomb,
)
from tests.store.making import Made, make_plan

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def cache(tmp_path: Path, finished_cache: Any, backend: str) -> Path:
    """An uncompressed cache that a test may craft."""
    shutil.copytree(finished_cache(backend, None).store.path, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that is nobody's business."""
    (tmp_path / "outside.bin").write_bytes(b"precious" * 4096)
    return tmp_path / "outside.bin"


def every_reader(cache: Path) -> dict[str, Any]:
    """All that opens a part: name -> a call."""
    return {
        "stream": lambda: [batch.decode() for batch in Cache.open(cache).stream(8, shuffle=False)],
        "unchecked stream": lambda: [batch.decode() for batch in Cache.open(cache).stream(8, check=False)],
        "map": lambda: [field.whole() for field in Store.open(cache).map_part(PART).values()],
        "convert": lambda: convert(cache, cache.parent / "converted", progress=Silent(), signals=["embedding"]),
        "merge": lambda: merge([cache], cache.parent / "merged", progress=Silent()),
    }


def refuses(cache: Path, match: str) -> None:
    """Every reader says Damage of that part, and so does verify."""
    told = []
    for name, read in every_reader(cache).items():
        try:
            read()
        except Damage as error:
            told.append((name, re.search(match, error.message) is not None))
    assert told == [(name, True) for name in every_reader(cache)]
    findings = verify(cache, VerifyOptions(), Silent()).findings
    assert [str(finding.part) for finding in findings] == [str(PART)]


# paths


@pytest.mark.parametrize(
    "path", ["k/../../payload", "../outside.bin", "/tmp/kd-absolute", "parts/../parts/v000/000001.h5"]
)
def test_the_paths_of_a_receipt_are_those_of_the_plan(cache: Path, outside: Path, path: str) -> None:
    (cache / "k").symlink_to(outside.parent)

    def elsewhere(record: dict[str, Any]) -> None:
        for seal in record["fields"].values():
            seal["file"] = path
        record["files"] = [record["files"][0] | {"path": path}]

    before = sorted(outside.parent.rglob("*"))
    change_receipt(cache, elsewhere)
    refuses(cache, "does not fit the plan: files")
    made = {p for p in set(outside.parent.rglob("*")) - set(before) if not p.is_relative_to(outside.parent / "merged")}
    assert not {p for p in made if not p.is_relative_to(outside.parent / "converted")}
    assert outside.read_bytes() == b"precious" * 4096


def test_a_signal_called_like_a_way_out_removes_nothing(cache: Path, outside: Path) -> None:
    plan = Store.open(cache).plan
    name = "../../../outside.bin"
    stored = [s.model_copy(update={"signal": s.signal.model_copy(update={"name": name})}) for s in plan.signals[1:2]]
    blocks = {name: 1, "view_digest": 4}
    layout = plan.layout.model_copy(update={"block_rows": blocks})
    teacher = plan.teacher.model_copy(update={"signals": (stored[0].signal,)})
    write_plan(cache, plan.model_copy(update={"signals": tuple(stored), "layout": layout, "teacher": teacher}))
    for act in (lambda: repair(cache, apply=True, progress=Silent()), lambda: Store.open(cache)):
        with pytest.raises(Mismatch, match="cannot be called"):
            act()
    assert outside.exists()


# links, pipes and devices


def places(backend: str) -> list[str]:
    """One of every kind of file of a cache."""
    part = "parts/v000/000001.h5" if backend == "hdf5" else "views/v000.zarr/embedding/c.1.0"
    return ["plan.json", "index.arrow", "parts/v000/000001.json", part]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize("place", range(4))
def test_only_plain_files_are_opened(cache: Path, outside: Path, backend: str, kind: str, place: int) -> None:
    path = cache / places(backend)[place]
    shutil.move(path, outside.parent / "real")
    if kind == "link":
        path.symlink_to(outside.parent / "real")  # with the very bytes that belong there
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(Damage, match=path.name):
        Cache.open(cache).get("img/1/ü00050.jpg")
    with pytest.raises(Damage, match=path.name):
        list(Cache.open(cache).stream(8))
    if path.name != "plan.json":
        assert path.name in str(verify(cache, VerifyOptions(), Silent()).findings[0])


@pytest.mark.parametrize("folder", ["parts", "parts/v000", "views", "locks"])
def test_no_folder_is_a_link(cache: Path, outside: Path, backend: str, folder: str) -> None:
    there = outside.parent / "moved"
    if (cache / folder).exists():
        shutil.move(cache / folder, there)
    else:
        there.mkdir()
    (cache / folder).symlink_to(there)
    before = sorted(there.rglob("*"))
    with pytest.raises(Damage, match=folder):
        repair(cache, apply=True, progress=Silent())
    assert sorted(there.rglob("*")) == before


def test_the_cache_itself_may_be_reached_through_a_link(cache: Path) -> None:
    (cache.parent / "link").symlink_to(cache)
    store = Store.open(cache.parent / "link")
    with store.building():
        assert store.missing() == []
    assert verify(cache.parent / "link", VerifyOptions(), Silent()).ok


@pytest.mark.parametrize("name", ["build.lock", "turn.lock", "share-1-of-2.lock"])
@pytest.mark.parametrize("how", ["link", "dangling", "hard link", "pipe"])
def test_a_lock_never_writes_into_another_file(cache: Path, outside: Path, name: str, how: str) -> None:
    lock, target = cache / "locks" / name, outside if how != "dangling" else outside.with_name("new")
    lock.unlink(missing_ok=True)
    if how == "hard link":
        os.link(outside, lock)
    elif how == "pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(target)
    with pytest.raises(Damage, match=name), build_lock(LocalPlace(cache), (1, 2) if name.startswith("share") else None):
        pass
    assert outside.read_bytes() == b"precious" * 4096
    assert target.exists() == (how != "dangling")


def test_what_a_build_writes_replaces_a_link_and_not_its_target(cache: Path, outside: Path) -> None:
    store = Store.open(cache)
    for name in ("rejected.jsonl", "parts/v000/000001.json"):
        (cache / name).unlink(missing_ok=True)
        (cache / name).symlink_to(outside)
    with store.building():
        store.drop_part(PART)
        store.write_rejected()
    assert outside.read_bytes() == b"precious" * 4096
    assert not (cache / "rejected.jsonl").is_symlink()
    os.unlink(cache / "rejected.jsonl")
    os.mkfifo(cache / "rejected.jsonl")
    with pytest.raises(Damage, match=r"rejected\.jsonl"):
        store.rejected()


@pytest.mark.parametrize("name", ["../up", "/etc/hostname", "a//b", ".", "a/./b", "a/..", "nul\0"])
def test_no_name_leads_out_of_a_folder(tmp_path: Path, name: str) -> None:
    for act in (lambda: LocalPlace(tmp_path).read(name, 10), lambda: beneath.remove(tmp_path, name)):
        with pytest.raises(Damage, match="is no name below"):
            act()


# receipts


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


@pytest.mark.parametrize("tells", [1_900_000_000, None, "block"])
def test_a_small_block_does_not_inflate_to_gigabytes(tmp_path: Path, finished_cache: Any, tells: Any) -> None:
    import resource

    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("zarr", "zstd:3").store.path, cache)
    field = Store.open(cache).fields["embedding"]
    size = Store.open(cache).plan.layout.block_rows["embedding"] * field.row_bytes
    bomb = zstd_bomb(1_900_000_000, tells=size if tells == "block" else tells)
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
    replace_block(cache, "embedding", 0, zstd_bomb(1_900_000_000, tells=None))
    assert verify(cache, VerifyOptions(), Silent()).ok  # every byte is what the receipt says
    [found] = verify(cache, ask, Silent()).findings
    assert found.part == PART
    assert "it is not compressed as the plan requires" in found.what
    monkeypatch.setattr("mmap.mmap", None)
    (cache / "more").symlink_to(outside)
    os.mkfifo(cache / "views" / "pipe")
    change_receipt(cache, _lie("nbytes", 1 << 40))
    told = "\n".join(map(str, verify(cache, ask, Silent()).findings))
    assert "more is a link" in told
    assert "views/pipe is a pipe" in told
    assert "does not fit the plan: field 'embedding'" in told


# index.arrow


def _batch(made: Store) -> dict[str, Any]:
    return {
        name: made.index.ids.batch.column(place) for place, name in enumerate(("image_id", "label", "hash", "hash_row"))
    }


def _written(columns: dict[str, Any], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    with pa.ipc.new_file(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _crooked(columns: dict[str, Any], change: Any) -> bytes:
    """The offsets of the ids changed where they lie in the file."""
    places = np.frombuffer(columns["image_id"].buffers()[1], "<i8")[: len(columns["image_id"]) + 1]
    other = places.copy()
    change(other)
    raw = _written(columns)
    assert raw.count(places.tobytes()) == 1
    return raw.replace(places.tobytes(), other.tobytes())


def _no_texts(ids: pa.Array) -> pa.Array:
    _, offsets, data = ids.buffers()
    return pa.LargeStringArray.from_buffers(len(ids), offsets, pa.py_buffer(b"\xff" * data.size))


INDEXES = {
    "offsets far behind": lambda c: _crooked(c, lambda places: places.__setitem__(slice(5, None), 1 << 40)),
    "one offset far behind": lambda c: _crooked(c, lambda places: places.__setitem__(5, 1 << 40)),
    "an offset before": lambda c: _crooked(c, lambda places: places.__setitem__(5, -(1 << 40))),
    "offsets that go back": lambda c: _crooked(c, lambda places: places.__setitem__(5, 0)),
    "no texts": lambda c: _written(c | {"image_id": _no_texts(c["image_id"])}),
    "rows that are none": lambda c: _written(
        c | {"hash_row": pa.array(np.full(len(c["label"]), 4_000_000_000, np.uint32))}
    ),
    "classes that are none": lambda c: _written(c | {"label": pa.array(np.full(len(c["label"]), 7, np.int32))}),
    "negative classes": lambda c: _written(c | {"label": pa.array(np.full(len(c["label"]), -5, np.int32))}),
    "fewer rows": lambda c: _written({name: column.slice(0, 80) for name, column in c.items()}),
    "compressed": lambda c: _written(c, compression="zstd"),
    "another column": lambda c: _written(c | {"more": c["label"]}),
    "other types": lambda c: _written(c | {"hash_row": c["hash_row"].cast(pa.int32())}),
    "wide rows": lambda c: _written(c | {"hash_row": c["hash_row"].cast(pa.uint64())}),
    "rows without id": lambda c: _written(c | {"image_id": pa.nulls(len(c["label"]), pa.large_string())}),
    "no Arrow": lambda c: b"x" * 5000,
    "nothing": lambda c: b"",
    "cut short": lambda c: _written(c)[:3000],
}


@pytest.mark.parametrize("craft", INDEXES)
def test_an_index_is_held_against_the_plan_before_it_is_used(tmp_path: Path, finished_cache: Any, craft: str) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(finished_cache("hdf5", None).store.path, cache)
    crafted = adopt_index(cache, INDEXES[craft](_batch(Store.open(cache))))
    with pytest.raises(Damage, match=r"index\.arrow"):
        _ = crafted.index
    with pytest.raises(Damage, match=r"index\.arrow"):
        Cache.open(cache).get("img/1/ü00050.jpg")
    assert "index.arrow" in str(verify(cache, VerifyOptions(), Silent()).findings[0])


# plans


def _with(plan: Any, way: str, value: Any) -> Any:
    """A copy of a record with one value changed and nothing checked."""
    key, _, rest = way.partition(".")
    old = getattr(plan, key)
    return plan.model_copy(update={key: _with(old, rest, value) if rest else value})


PLANS: dict[str, list[Any]] = {
    "dataset.rows": [1 << 62, limits.ROWS + 1, 0, -1],
    "views.count": [10**9, limits.VIEWS + 1, 0, -1],
    "layout.rows_per_part": [0, -1, 1 << 62],
    "batch": [0, -1, 1 << 30],
    "layout.block_rows": [{}, {"logits": 0, "embedding": 4, "features": 4, "view_digest": 4}, {"logits": 3}],
    "layout.compression": ["zstd:99", "gzip:1", "zstd:" + "9" * 5000],
    "teacher.preprocess.size": [(0, 8), (8, 1 << 40)],
    "teacher.preprocess.mean": [(float("nan"), 0.5, 0.5)],
}


@pytest.mark.parametrize(("way", "value"), [(way, value) for way, values in PLANS.items() for value in values], ids=str)
def test_a_plan_beyond_the_limits_is_refused_in_a_line(tmp_path: Path, way: str, value: Any) -> None:
    cache = tmp_path / "cache"
    Store.create(cache, make_plan(), _listing())
    plan = _with(Store.open(cache).plan, way, value)
    write_plan(cache, plan)
    for act in (
        lambda: Store.open(cache),
        lambda: verify(cache, VerifyOptions(), Silent()),
        lambda: Cache.open(cache).stream(),
    ):
        with pytest.raises(Mismatch) as caught:
            act()
        assert len(caught.value.message) < 600
        assert "identity" not in caught.value.message
    if way != "layout.block_rows" or value != {"logits": 3}:
        with pytest.raises(UsageError):
            Store.create(tmp_path / "new", plan, _listing())
        assert not (tmp_path / "new").exists()


def test_a_number_that_no_type_holds_is_damage(tmp_path: Path) -> None:
    Store.create(tmp_path / "c", make_plan(), _listing())
    write_plan(tmp_path / "c", _with(Store.open(tmp_path / "c").plan, "dataset.rows", 10**60))
    with pytest.raises(Damage, match="does not fit into 64 bits"):
        Store.open(tmp_path / "c")


SHAPES = [(0,), (-1,), (1 << 62, 4), (), (1,) * 9, (1 << 40,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_shape_that_is_none_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    cache = tmp_path / "cache"
    Store.create(cache, make_plan(), _listing())
    plan = Store.open(cache).plan
    signals = tuple(
        s.model_copy(update={"signal": s.signal.model_copy(update={"shape": shape})}) for s in plan.signals[1:2]
    )
    teacher = plan.teacher.model_copy(update={"signals": (signals[0].signal,)})
    record = plan.model_copy(update={"signals": signals, "teacher": teacher}).plain()
    write_plan(cache, plan, signals=record["signals"], teacher=record["teacher"])
    with pytest.raises(Mismatch, match=r"shape|numbers a row"):
        Store.open(cache)


@pytest.mark.parametrize("codec", ["topk:41", "topk:" + "9" * 5000, "float32"])
def test_a_codec_that_is_none_for_its_signal_is_refused(tmp_path: Path, codec: str) -> None:
    cache = tmp_path / "cache"
    Store.create(cache, make_plan(), _listing())
    plan = Store.open(cache).plan
    first = plan.signals[0].model_copy(update={"codec": codec} if codec != "float32" else {"via": ("int8",) * 17})
    write_plan(cache, plan.model_copy(update={"signals": (first, *plan.signals[1:])}))
    with pytest.raises(Mismatch):
        Store.open(cache)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    signals = ((Signal(name="a", shape=(4,)), "int8"), (Signal(name="a_scale", shape=(4,)), "float32"))
    with pytest.raises(UsageError, match="two arrays are called 'a_scale'"):
        Store.create(tmp_path / "c", make_plan(signals=signals), _listing())
    taken = ((Signal(name="view_digest", shape=(4,)), "float32"),)
    with pytest.raises(UsageError, match="two arrays are called 'view_digest'"):
        Store.create(tmp_path / "c", make_plan(signals=taken), _listing())


def test_a_plan_of_very_many_parts_costs_what_is_there(cache: Path) -> None:
    """The largest there may be: looking at it takes as long as at the two views that exist."""
    plan = Store.open(cache).plan
    count = min(limits.VIEWS, limits.PARTS // plan.parts_per_view)
    adopt_plan(cache, _with(plan, "views.count", count))
    store = Store.open(cache)
    assert len(store.plan.parts()) == count * plan.parts_per_view
    assert store.plan.parts()[-1] == PartId(count - 1, plan.parts_per_view - 1)
    report = verify(cache, VerifyOptions(), Silent())
    assert (report.ok, report.parts) == (True, 2 * plan.parts_per_view)
    assert report.missing == (count - 2) * plan.parts_per_view
    assert len(store.built()) == 2 * plan.parts_per_view
    with pytest.raises(UsageError, match=r"views\.count is 100,001, not 1 to 100,000"):
        store.plan_views(limits.VIEWS + 1)
    assert repair(cache, apply=False, progress=Silent()).parts == ()


def test_views_beyond_the_limit_are_not_planned(tmp_path: Path) -> None:
    from kdcache.views.recipe import Augment, Crop

    augment = Augment(crop=Crop(scale=(0.5, 1.0), ratio=(0.7, 1.4), interpolation="bilinear"), flip=0.5)
    Store.create(tmp_path / "c", _with(make_plan(), "views.recipe", augment), _listing())
    with pytest.raises(UsageError, match="more than 100,000"):
        add_views(tmp_path / "c", 10**9)
    assert Store.open(tmp_path / "c").plan.views.count == 2


def test_a_record_that_is_too_large_is_not_read(cache: Path) -> None:
    for name in ("plan.json", "parts/v000/000001.json"):
        raw = (cache / name).read_bytes()
        os.truncate(cache / name, limits.RECORD_BYTES + 1)
        with pytest.raises(Damage, match="at most"):
            Store.open(cache).receipt(PART)
        (cache / name).write_bytes(raw)


def _listing() -> Any:
    from tests.store.making import make_listing

    return make_listing()


def test_what_is_sound_passes(made: Made) -> None:
    """Every kind of cache that is made today is one that all of this lets through."""
    assert verify(made.store.path, VerifyOptions(), Silent()).ok
    assert len(list(Cache.open(made.store.path).stream(8))) > 0
    assert isinstance(made.store.index.row_of("img/1/ü00050.jpg"), int)
    assert not issubclass(KDError, UsageError)
