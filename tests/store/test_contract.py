"""What a store promises, in every place, with every backend and every compression: one suite for all."""

import numpy as np
import pytest

from kdcache.errors import Damage
from kdcache.store import Store
from kdcache.store.parts.there import receipt_name
from kdcache.store.plan import PartId
from tests.store.making import Made, copy_place, flip, make_cache, make_listing, make_plan, payload_of

GONE = PartId(0, 1)
LAST = PartId(1, 2)


@pytest.fixture
def made(places, backend, compression, finished_cache) -> Made:
    """A small finished cache for each kind of place, backend and compression."""
    finished = finished_cache(backend, compression)
    return Made(Store.open(copy_place(finished.store.place, places("cache"))), finished.payloads, finished.bad)


def test_every_value_comes_back_bit_for_bit(made: Made):
    store = Store.open(made.store.place)
    for part, payload in made.payloads.items():
        mapped = store.map_part(part)
        assert set(mapped) == set(payload)
        for name, values in payload.items():
            assert mapped[name].whole().dtype == values.dtype
            assert mapped[name].whole().tobytes() == values.tobytes()
            assert not mapped[name].whole().flags.writeable


def test_rows_are_gathered_in_any_order(made: Made):
    store = Store.open(made.store.place)
    part = PartId(0, 1)
    rows = np.random.default_rng(1).permutation(len(store.plan.rows_of(part)))[:17]
    for name, values in made.payloads[part].items():
        field = store.map_part(part)[name]
        if field.field.per_part:
            continue
        out = np.empty((len(rows), *values.shape[1:]), values.dtype)
        field.announce(int(rows.min()), int(rows.max()) + 1)
        assert field.take(rows, out) is out
        assert (out == values[rows]).all()
        assert (field.take(rows[::-1]) == values[rows[::-1]]).all()
        with pytest.raises(IndexError):
            field.take(np.array([field.rows]))


def test_the_same_payload_gives_the_same_files(made: Made, places):
    again = make_cache(places("again"), made.store.plan)
    files = [name for name, kind in made.store.place.walk() if kind == "file" and not name.startswith("locks/")]
    assert len(files) > len(made.payloads)
    for name in files:
        assert made.store.place.map(name) == again.store.place.map(name), name


def test_bad_rows_are_zeros_and_listed_with_their_reason(made: Made):
    store = Store.open(made.store.place)
    assert store.bad_rows() == made.bad
    mapped = store.map_part(PartId(1, 1))
    assert mapped.receipt.bad == {41: "not an image"}
    assert np.flatnonzero(~mapped.good).tolist() == [41 - 32]
    for field in mapped.values():
        if not field.field.per_part:
            assert not field.whole()[41 - 32].any()
            assert field.whole()[40 - 32].any()


def test_the_caller_keeps_its_payload_when_bad_rows_are_blanked(made: Made):
    payload = payload_of(made.store.plan, GONE)
    before = {name: values.copy() for name, values in payload.items()}
    made.store.write_part(GONE, payload, {33: "broken"})
    assert all((payload[name] == before[name]).all() for name in before)
    assert not made.store.map_part(GONE)["embedding"].whole()[1].any()


def test_a_part_that_is_not_built_is_missing_and_named(made: Made):
    assert made.store.missing() == []
    made.store.drop_part(GONE)
    assert made.store.missing() == [GONE]
    assert made.store.receipt(GONE) is None
    assert made.store.verify_part(GONE) == []
    with pytest.raises(Damage, match=r"v000/000001.*not built"):
        made.store.map_part(GONE)
    names = [name for name, _ in made.store.place.walk() if "v000" in name]
    assert [name for name in names if "000001" in name or "/c.1" in name] == []


def test_a_rewritten_part_is_read_anew(made: Made):
    assert made.store.map_part(GONE)["embedding"].whole().any()
    payload = {name: np.zeros_like(values) for name, values in made.payloads[GONE].items()}
    made.store.write_part(GONE, payload, {})
    assert not made.store.map_part(GONE)["embedding"].whole().any()


def test_a_flipped_bit_is_named_with_its_rows_and_no_others(made: Made):
    for name in made.store.fields:
        receipt = made.store.receipt(GONE)
        seal = receipt.fields[name]
        block = len(seal.blocks) // 2
        offset, size = seal.span(block)
        flip(made.store.place, seal.file, offset + size // 2, 5)
        rows = receipt.rows_of(name, block, block)
        store = Store.open(made.store.place)
        [finding] = store.verify_part(GONE)
        assert (finding.part, finding.field, finding.rows) == (GONE, name, rows)
        field = store.map_part(GONE)[name]
        local = np.arange(rows[0], rows[-1] + 1) - receipt.first_row
        with pytest.raises(Damage, match=f"v000/000001.*{name}.*rows {rows[0]}-{rows[-1]}") as caught:
            field.take(local[:1] if not seal.per_part else np.array([0]))
        assert caught.value.details["rows"] == (rows[0], rows[-1])
        with pytest.raises(Damage):
            field.whole()
        if not seal.per_part:
            others = np.setdiff1d(np.arange(field.rows), local)
            assert (field.take(others) == made.payloads[GONE][name][others]).all()
        flip(made.store.place, seal.file, offset + size // 2, 5)


def test_damage_between_the_rows_is_found_by_verify(made: Made):
    receipt = made.store.receipt(GONE)
    file = receipt.files[-1]
    flip(made.store.place, file.path, 0 if file.path.endswith(".h5") else file.nbytes - 1)
    [finding] = made.store.verify_part(GONE)
    assert finding.part == GONE
    assert "between its rows" in finding.what


@pytest.mark.parametrize("harm", ["truncated", "longer", "missing"])
def test_a_file_of_the_wrong_size_is_never_read(made: Made, harm):
    receipt = made.store.receipt(LAST)
    for seal in receipt.files:
        place = made.store.place
        content = place.read(seal.path, seal.nbytes)
        if harm == "missing":
            place.remove(seal.path)
        else:
            place.replace(seal.path, [content[:-7] if harm == "truncated" else content + b"\0"])
        store = Store.open(made.store.place)
        assert store.missing() == ([LAST] if harm == "missing" else [])
        findings = store.verify_part(LAST)
        assert [f.part for f in findings] == [LAST]
        assert seal.path in findings[0].what
        fields = [name for name, field in receipt.fields.items() if field.file == seal.path]
        for name in fields:
            with pytest.raises(Damage, match="v001/000002"):
                store.map_part(LAST)[name]
        place.replace(seal.path, [content])
    assert Store.open(made.store.place).verify_part(LAST) == []


def test_swapped_parts_are_named(made: Made):
    one, other = PartId(0, 0), PartId(1, 0)
    for a, b in zip(made.store.receipt(one).files, made.store.receipt(other).files, strict=True):
        contents = [made.store.place.read(each.path, each.nbytes) for each in (a, b)]
        made.store.place.replace(a.path, contents[1:])
        made.store.place.replace(b.path, contents[:1])
    store = Store.open(made.store.place)
    assert {f.part for f in store.verify_part(one)} == {one}
    assert {f.part for f in store.verify_part(other)} == {other}
    for part in (one, other):
        with pytest.raises(Damage, match=str(part)):
            store.map_part(part)["embedding"].whole()
    # with their receipts, too
    made.store.place.replace(receipt_name(one), [made.store.place.map(receipt_name(other))])
    with pytest.raises(Damage, match="is the receipt of part v001/000000"):
        store.receipt(one)
    [finding] = store.verify_part(one)
    assert finding.part == one


def test_parts_come_across_from_another_cache_of_the_same_plan(made: Made, places):
    other = Store.create(places("other"), made.store.plan, make_listing())
    other.copy_part(GONE, made.store)
    assert GONE not in other.missing()
    assert len(other.missing()) == len(made.payloads) - 1
    assert other.verify_part(GONE) == []
    assert other.verify_frame() == []
    for name, values in made.payloads[GONE].items():
        assert (other.map_part(GONE)[name].whole() == values).all()


def test_a_damaged_part_is_not_copied(made: Made, places):
    receipt = made.store.receipt(GONE)
    flip(made.store.place, receipt.files[0].path, receipt.fields["logits"].offset)
    other = Store.create(places("other"), made.store.plan, make_listing())
    with pytest.raises(Damage, match="v000/000001"):
        other.copy_part(GONE, made.store)
    assert GONE in other.missing()


def test_files_the_plan_does_not_know_are_told(made: Made):
    assert made.store.verify_frame() == []
    made.store.place.put_new("parts/v000/000099.h5", [b"what is this"])
    [finding] = made.store.verify_frame()
    assert "parts/v000/000099.h5 does not belong" in finding.what


def test_more_parts_than_may_stay_open_can_be_read(made: Made, monkeypatch):
    monkeypatch.setattr("kdcache.store.reading.open_parts.MOST_PARTS", 1)
    store = Store.open(made.store.place)
    for _ in range(2):
        for part, payload in made.payloads.items():
            assert (store.map_part(part)["embedding"].whole() == payload["embedding"]).all()
    assert len(store._open._open) == 1


def test_one_block_is_hashed_once(made: Made, monkeypatch):
    import xxhash

    counted = []
    real = xxhash.xxh3_64_intdigest
    monkeypatch.setattr(
        "kdcache.store.reading.piece.xxhash.xxh3_64_intdigest", lambda data: counted.append(1) or real(data)
    )
    store = Store.open(made.store.place)
    field = store.map_part(GONE)["embedding"]
    for _ in range(3):
        field.take(np.array([0, 1, 2, 9, 9]))
    assert len(counted) == 2


def test_one_part_with_one_row(places, backend, compression):
    made = make_cache(places("tiny"), make_plan(rows=1, backend=backend, compression=compression))
    store = Store.open(made.store.place)
    assert all((store.map_part(PartId(1, 0))[n].whole() == v).all() for n, v in made.payloads[PartId(1, 0)].items())
    assert [f for part in store.plan.parts() for f in store.verify_part(part)] == []
