"""Caches whose rows differ in length, from strangers: what is planned is bounded, what is stored is looked at before use."""

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache import Cache
from kdcache.base.progress import Silent
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.codecs.codec import Fields
from kdcache.errors import Damage, KDError, Mismatch
from kdcache.reshape.convert import convert
from kdcache.signals.padded import Padded
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.plan import PartId, Plan
from kdcache.testing.codecs import example_values
from tests.cli.conftest import kd as kd
from tests.store.crafted import write_plan
from tests.store.making import make_listing, make_plan

ROWS = 24
ANSWERS = Signal(name="answers", shape=(5, 12), kind="distribution", lengths=True)
WORDS = Signal(name="words", shape=(5,), kind="codes", vocabulary=300, lengths=True)
PATCHES = Signal(name="patches", shape=(5, 4), lengths=True)
SIGNALS = ((ANSWERS, "topk:3"), (WORDS, "codes"), (PATCHES, "int8"))


def emitted(plan: Plan, part: PartId) -> dict[str, Padded]:
    rows = len(plan.rows_of(part))
    return {s.signal.name: example_values(s.signal, rows, seed=part.number) for s in plan.signals}


def coded(plan: Plan, part: PartId) -> Fields:
    fields: Fields = {"view_digest": np.zeros(len(plan.rows_of(part)), "<u4")}
    for name, values in emitted(plan, part).items():
        fields |= plan.codecs()[name].encode(values)
    return fields


@pytest.fixture(scope="module", params=["hdf5", "zarr"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = make_plan(signals=SIGNALS, rows=ROWS, views=1, backend=request.param)
    path = tmp_path_factory.mktemp("finished") / "c"
    store = Store.create(path, plan, make_listing(ROWS))
    for part in plan.parts():
        bad = {3: "truncated"} if 3 in plan.rows_of(part) else {}
        store.write_part(part, coded(plan, part), bad)
    return path


@pytest.fixture
def cache(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "c")
    return tmp_path / "c"


def test_rows_of_unreadable_images_have_no_positions_and_the_others_all_theirs(cache: Path) -> None:
    assert verify(cache, VerifyOptions(untrusted=True), Silent()).ok
    store = Store.open(cache)
    lengths = np.concatenate([np.array(store.map_part(part)["words_length"].whole()) for part in store.built()])
    wanted = np.concatenate([emitted(store.plan, part)["words"].lengths for part in store.built()])
    assert lengths[3] == 0 != wanted[3]
    for batch in Cache.open(cache).stream(7, seed=1):
        decoded = batch.decode()
        for values in decoded.values():
            assert values.lengths.tolist() == wanted[batch.rows].tolist()
        assert isinstance(batch.torch()["words_length"], torch.Tensor)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Signal, Padded]:
    """Distributions over (position, class) of 2 to 30 images, each of its own length."""
    positions, classes = draw(st.integers(1, 4)), draw(st.integers(2, 20))
    lengths = draw(st.lists(st.integers(0, positions), min_size=2, max_size=30))
    dice = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    values = torch.randn(len(lengths), positions, classes, generator=dice) * 4
    signal = Signal(name="answers", shape=(positions, classes), kind="distribution", lengths=True)
    return signal, Padded(values, torch.tensor(lengths, dtype=torch.int32))


@given(
    answers(),
    st.sampled_from(("full", "full:float16", "topk:1", "topk:2")),
    st.sampled_from((("hdf5", None), ("hdf5", "zstd:1"), ("zarr", None), ("zarr", "blosc:5"))),
    st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_any_lengths_come_back_from_any_cache_in_any_order_converted_or_not(
    case: tuple[Signal, Padded], codec: str, layout: tuple[str, str | None], seed: int
) -> None:
    (signal, true), (backend, compression) = case, layout
    listing = make_listing(len(true))
    plan = make_plan(
        signals=((signal, codec),), listing=listing, rows=len(true), views=1, backend=backend, compression=compression
    )
    with TemporaryDirectory() as folder:
        path, out = Path(folder) / "c", Path(folder) / "d"
        store = Store.create(path, plan, listing)
        for part in plan.parts():
            rows = plan.rows_of(part)
            fields = plan.codecs()["answers"].encode(true[rows.start : rows.stop])
            store.write_part(part, fields | {"view_digest": np.zeros(len(rows), "<u4")}, {})
        assert verify(path, VerifyOptions(untrusted=True), Silent()).ok
        convert(
            path, out, backend="zarr" if backend == "hdf5" else "hdf5", codecs={"answers": "topk:1"}, progress=Silent()
        )
        whole = plan.codecs()["answers"].decode(plan.codecs()["answers"].encode(true))
        seen = []
        for one, other in zip(*(Cache.open(c).stream(7, seed=seed) for c in (path, out)), strict=True):
            mine, fewer = one.decode()["answers"], other.decode()["answers"]
            mask = true.mask().numpy()[one.rows]
            assert np.array_equal(mine.mask(), mask)
            assert np.array_equal(fewer.mask(), mask)
            assert np.array_equal(mine.values.probabilities(2.0), whole.values.probabilities(2.0)[one.rows])
            assert np.array_equal(mine.values.top(1)[0][mask], fewer.values.top(1)[0][mask])
            seen += one.rows.tolist()
        assert sorted(seen) == list(range(len(true)))


@pytest.mark.parametrize("field", ["answers_length", "words_length", "patches_length"])
@pytest.mark.parametrize("wrong", [6, -1, 2**31 - 1, -(2**31)])
def test_a_length_that_cannot_be_names_the_row_whoever_reads_it(cache: Path, field: str, wrong: int) -> None:
    store = Store.open(cache)
    part = store.plan.parts()[1]
    payload, row = coded(store.plan, part), store.plan.rows_of(part).start + 2
    payload[field][2] = wrong
    store.write_part(part, payload, {})
    opened = Cache.open(cache)
    changed = {field.removesuffix("_length"): "float16" if field.startswith("patches") else "topk:2"}
    readers: list[Any] = [
        lambda: [batch.decode() for batch in opened.stream(5, seed=2)],
        lambda: opened[opened.ids[row]],
    ]
    if field != "words_length":
        readers.append(lambda: convert(cache, cache.parent / "d", codecs=changed, progress=Silent()))
    for read in readers:
        with pytest.raises(Damage, match=rf"row {row}: .*a length of {wrong:,}, but a row has 0 to 5 ") as caught:
            read()
        assert caught.value.details["rows"] == [row]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lengths": 1}, "valid boolean"),
        ({"lengths": False}, "block_rows names"),
        ({"shape": [1 << 62, 12]}, "numbers a row"),
        ({"kind": "map"}, "is for signals of kind"),
        ({"kind": "codes"}, "vocabulary"),
        ({"axes": ["class"]}, "axes"),
        ({"axes": ["position", "../x"]}, "cannot be called"),
        ({"vocabulary": 7}, "vocabulary"),
    ],
)
def test_a_plan_that_nobody_could_work_with_is_refused_in_one_line(
    cache: Path, change: dict[str, Any], reason: str
) -> None:
    plan = Store.open(cache).plan
    record = plan.plain()
    for signals in (record["signals"][0]["signal"], record["teacher"]["signals"][0]):
        signals.update(change)
    with suppress(ValueError):  # else the identity of the plan it was
        plan = Plan.from_plain(record)
    write_plan(cache, plan, signals=record["signals"], teacher=record["teacher"])
    with pytest.raises(Mismatch, match=reason):
        Store.open(cache)


def test_a_vocabulary_beyond_the_bytes_of_a_code_is_another_cache(cache: Path) -> None:
    """Codes that a stranger says there are more or fewer of: the width would differ, or the numbers are looked at."""
    plan = Store.open(cache).plan
    for vocabulary in (2, 255, 70_000):
        record = plan.plain()
        record["signals"][1]["signal"]["vocabulary"] = record["teacher"]["signals"][1]["vocabulary"] = vocabulary
        changed = Plan.from_plain(record)
        write_plan(cache, changed)
        with pytest.raises(KDError):
            [batch.decode() for batch in Cache.open(cache).stream(5)]


def test_people_see_a_row_up_to_its_length(cache: Path, kd: Any) -> None:
    opened = Cache.open(cache)
    lengths = {row: int(opened[opened.ids[row]]["words"].lengths[0]) for row in (0, 2, 5)}
    assert len(set(lengths.values())) == 3
    for row, length in lengths.items():
        shown = kd("cache", "get", opened.ids[row], "--cache", cache)
        assert shown.code == 0, shown.err
        assert f"{length} of 5 positions" in shown.out
        found = kd("cache", "get", opened.ids[row], "--cache", cache, "--json").json["signals"]
        assert {name: values["length"] for name, values in found.items()} == dict.fromkeys(found, length)
        assert len(found["words"]["values"]) == length
        assert len(found["answers"]["values"]["ids"]) == length
    info = kd("cache", "info", cache).out
    assert "≤5×12" in info
