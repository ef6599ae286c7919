"""Batches hold what went into the cache, in the order that was asked for, however it is stored."""

import gc
import pickle
import subprocess
import sys
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from kdcache import Cache
from kdcache.codecs.distribution import TopK
from kdcache.errors import Incomplete, Unavailable, UsageError
from tests.store.making import Made, make_cache, make_plan
from tests.stream.conftest import stored_row, whole_array


def rows_of(stream) -> list[int]:
    return [row for batch in stream for row in batch.rows.tolist()]


@pytest.mark.parametrize("shuffle", ["full", "blocks", False])
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_every_batch_holds_what_went_in(made: Made, cache: Cache, shuffle, batch_size: int) -> None:
    seen = []
    for batch in cache.stream(batch_size, shuffle=shuffle, epoch=1, seed=4):
        assert batch.view == 1
        for name, array in batch.fields.items():
            for row, stored in zip(batch.rows.tolist(), array, strict=True):
                assert np.array_equal(stored, stored_row(made, 1, row, name)), (name, row)
        assert batch.ids == [cache.ids[row] for row in batch.rows.tolist()]
        assert batch.labels.tolist() == cache.labels[batch.rows].tolist()
        seen += batch.rows.tolist()
    assert sorted(seen) == [row for row in range(90) if row not in made.bad]


def test_decoded_batches_equal_rows_decoded_alone(made: Made, cache: Cache) -> None:
    codecs = made.store.plan.codecs()
    for batch in cache.stream(16, shuffle="full"):
        values = batch.decode()
        for place, row in enumerate(batch.rows.tolist()):
            top = codecs["logits"].decode({"logits": stored_row(made, 0, row, "logits")[None]})
            assert np.array_equal(values["logits"].ids[place], top.ids[0])
            assert np.array_equal(values["logits"].logp[place], top.logp[0])
            assert np.array_equal(values["embedding"][place], stored_row(made, 0, row, "embedding"))
            scale = whole_array(made, 0, row, "features_scale")
            expected = stored_row(made, 0, row, "features").astype(np.float32) * scale
            assert np.allclose(values["features"][place], expected, rtol=1e-6)
        assert isinstance(values["logits"], TopK)


def test_large_rows_decode_the_same(cache: Cache, monkeypatch) -> None:
    small = [batch.decode()["features"] for batch in cache.stream(16)]
    monkeypatch.setattr("kdcache.stream.batch.LARGE_ROW", 1)
    large = [batch.decode()["features"] for batch in cache.stream(16)]
    assert all(np.array_equal(one, other) for one, other in zip(small, large, strict=True))


def test_only_the_signals_asked_for_are_read(cache: Cache) -> None:
    batch = next(iter(cache.stream(4, signals=["embedding"])))
    assert list(batch.fields) == ["embedding"]
    assert list(batch.decode()) == ["embedding"]


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_stream_resumes_at_every_batch(cache: Cache, shuffle, threads: int) -> None:
    def batches(start: int) -> list[tuple[int, list[int], bytes]]:
        stream = cache.stream(8, shuffle=shuffle, seed=1, epoch=2, start=start, threads=threads)
        assert len(stream) == len(whole) - start if start else True
        return [(b.number, b.rows.tolist(), b.fields["embedding"].tobytes()) for b in stream]

    whole: list = []
    whole = batches(0)
    assert len(whole) == 11
    for start in range(len(whole) + 1):
        assert batches(start) == whole[start:]


@pytest.mark.parametrize("world", [2, 3, 4, 8])
def test_processes_share_each_global_batch(plain: Made, world: int) -> None:
    cache = Cache.open(plain.store.path)
    alone = [b.rows.tolist() for b in cache.stream(24, seed=3)]
    shares = [[b.rows.tolist() for b in cache.stream(24 // world, seed=3, rank=r, world=world)] for r in range(world)]
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == alone


def test_the_last_batch_is_kept_or_dropped(plain: Made) -> None:
    cache = Cache.open(plain.store.path)
    assert [len(b) for b in cache.stream(40)] == [40, 40, 8]
    assert [len(b) for b in cache.stream(40, drop_last=True)] == [40, 40]
    assert len(cache.stream(40, drop_last=True)) == 2


def test_the_rows_of_a_batch_are_known_before_it_is_read(plain: Made) -> None:
    stream = Cache.open(plain.store.path).stream(8, seed=1, rank=1, world=2)
    assert [stream.rows(batch.number).tolist() for batch in stream] == [batch.rows.tolist() for batch in stream]


def test_epochs_take_the_views_in_turn(plain: Made) -> None:
    cache = Cache.open(plain.store.path)
    assert [cache.stream(epoch=e).view for e in range(4)] == [0, 1, 0, 1]
    assert [cache.stream(epoch=e, views=[1]).view for e in range(2)] == [1, 1]


@pytest.mark.parametrize("batch_size", [8, 100])
def test_a_batch_holds_until_two_more_were_drawn(plain: Made, monkeypatch, batch_size: int) -> None:
    monkeypatch.setattr("kdcache.stream.flow.SUPERBATCH_BYTES", 1)
    cache = Cache.open(plain.store.path)
    drawn = []
    for batch in cache.stream(batch_size, shuffle=False):
        drawn.append((batch, batch.copy()))
        for held, kept in drawn[-2:]:
            assert all(np.array_equal(held.fields[n], kept.fields[n]) for n in held.fields)


def test_buffers_are_used_again(plain: Made, monkeypatch) -> None:
    monkeypatch.setattr("kdcache.stream.flow.SUPERBATCH_BYTES", 1)
    cache = Cache.open(plain.store.path)
    addresses = {batch.fields["logits"].ctypes.data for batch in cache.stream(4)}
    assert len(cache.stream(4)) == 22
    assert len(addresses) == 5
    assert {batch.fields["logits"].ctypes.data for batch in cache.stream(4, epoch=1)} == addresses, "also in epoch two"


def test_two_streams_at_once_have_their_own_buffers(plain: Made) -> None:
    cache = Cache.open(plain.store.path)
    for one, other in zip(cache.stream(8, seed=1), cache.stream(8, seed=2), strict=True):
        for batch in (one, other):
            for place, row in enumerate(batch.rows.tolist()):
                assert np.array_equal(batch.fields["logits"][place], stored_row(plain, 0, row, "logits"))


def test_tensors_share_the_memory_of_the_batch(plain: Made) -> None:
    batch = next(iter(Cache.open(plain.store.path).stream(4)))
    tensors = batch.torch()
    assert {name: tensor.data_ptr() for name, tensor in tensors.items()} == {
        name: array.ctypes.data for name, array in batch.fields.items()
    }


def test_pinned_buffers_need_a_gpu(plain: Made) -> None:
    torch = pytest.importorskip("torch")
    stream = Cache.open(plain.store.path).stream(8, pin=True)
    if not torch.cuda.is_available():
        with pytest.raises(Unavailable, match="pinned buffers need a CUDA device"):
            list(stream)
        return
    assert all(tensor.is_pinned() for tensor in next(iter(stream)).torch().values())


def test_missing_parts_are_named(plain: Made) -> None:
    part = plain.store.plan.parts()[-1]
    plain.store.drop_part(part)
    cache = Cache.open(plain.store.path)
    with pytest.raises(Incomplete, match=r"view 1 are not built: v001/00000") as caught:
        cache.stream(epoch=1)
    assert caught.value.exit_code == 3
    assert caught.value.details["missing"] == [str(part)]
    assert len(rows_of(cache.stream(epoch=0))) == 88, "the other view is complete"


def test_threads_end_when_a_consumer_stops(plain: Made) -> None:
    before = threading.active_count()
    for batch in Cache.open(plain.store.path).stream(4, threads=3):
        assert batch is not None
        break
    gc.collect()
    assert threading.active_count() == before
    iterator = iter(Cache.open(plain.store.path).stream(4))
    next(iterator)
    assert threading.active_count() > before
    iterator.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_a_stream_left_open_does_not_hold_the_interpreter(plain: Made) -> None:
    code = f"from kdcache import Cache; it = iter(Cache.open({str(plain.store.path)!r}).stream(4)); next(it); print('left')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "left\n"
    assert done.stderr == ""


def test_reading_needs_numpy_only(plain: Made) -> None:
    code = f"""
import sys
from kdcache import Cache
cache = Cache.open({str(plain.store.path)!r})
for batch in cache.stream(8): batch.decode(), batch.ids, batch.labels
cache[cache.ids[0]]
heavy = ("torch", "h5py", "zarr", "timm", "transformers", "kdcache.teachers")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_a_forked_or_pickled_cache_reads_on(plain: Made) -> None:
    cache = Cache.open(plain.store.path)
    expected = rows_of(cache.stream(8, seed=2))
    again = pickle.loads(pickle.dumps(cache))
    assert rows_of(again.stream(8, seed=2)) == expected


def test_rejected_rows_only(tmp_path: Path) -> None:
    """A view whose images were all unusable is an epoch without batches."""
    plan = make_plan(rows=4, views=1)
    store = make_cache(tmp_path / "none", plan, rows=4).store
    for part in plan.parts():
        store.drop_part(part)
        fields = {n: np.zeros((4, *f.shape) if not f.per_part else f.shape, f.dtype) for n, f in store.fields.items()}
        store.write_part(part, fields, dict.fromkeys(range(4), "broken"))
    stream = Cache.open(store.path).stream(2)
    assert len(stream) == 0
    assert list(stream) == []


def test_wrong_requests_are_refused(plain: Made) -> None:
    cache = Cache.open(plain.store.path)
    with pytest.raises(UsageError, match="no view 5"):
        cache.stream(views=[5])
    with pytest.raises(UsageError, match="no signal 'pixels'"):
        cache.stream(signals=["pixels"])
    with pytest.raises(UsageError, match="start is batch 99, but the epoch has 11"):
        cache.stream(8, start=99)
    with pytest.raises(UsageError, match="threads is 0"):
        cache.stream(threads=0)
