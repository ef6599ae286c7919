"""What every backend promises, with every compression: one suite for all."""

import os

import numpy as np
import pytest

from kdcache.errors import Damage
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.making import Made, make_cache, make_listing, make_plan, payload_of

GONE = PartId(0, 1)
LAST = PartId(1, 2)


def flip(path, offset: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def test_every_value_comes_back_bit_for_bit(made: Made):
    store = Store.open(made.store.path)
    for part, payload in made.payloads.items():
        mapped = store.map_part(part)
        assert set(mapped) == set(payload)
        for name, values in payload.items():
            assert mapped[name].whole().dtype == values.dtype
            assert mapped[name].whole().tobytes() == values.tobytes()
            assert not mapped[name].whole().flags.writeable


def test_rows_are_gathered_in_any_order(made: Made):
    store = Store.open(made.store.path)
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


def test_the_same_payload_gives_the_same_files(made: Made, tmp_path):
    again = make_cache(tmp_path / "again", made.store.plan)
    files = [
        p.relative_to(made.store.path) for p in made.store.path.rglob("*") if p.is_file() and p.parent.name != "locks"
    ]
    assert len(files) > len(made.payloads)
    for name in files:
        assert (made.store.path / name).read_bytes() == (again.store.path / name).read_bytes(), name


def test_bad_rows_are_zeros_and_listed_with_their_reason(made: Made):
    store = Store.open(made.store.path)
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
    left = [p for p in made.store.path.rglob("*") if "000001" in p.name or p.name.startswith("c.1")]
    assert [p for p in left if "v000" in str(p)] == []


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
        path = made.store.path / seal.file
        flip(path, offset + size // 2, 5)
        rows = receipt.rows_of(name, block, block)
        store = Store.open(made.store.path)
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
        flip(path, offset + size // 2, 5)


def test_damage_between_the_rows_is_found_by_verify(made: Made):
    receipt = made.store.receipt(GONE)
    path = made.store.path / receipt.files[-1].path
    flip(path, 0 if path.suffix == ".h5" else receipt.files[-1].nbytes - 1)
    [finding] = made.store.verify_part(GONE)
    assert finding.part == GONE
    assert "between its rows" in finding.what


@pytest.mark.parametrize("harm", ["truncated", "longer", "missing"])
def test_a_file_of_the_wrong_size_is_never_read(made: Made, harm):
    receipt = made.store.receipt(LAST)
    for seal in receipt.files:
        path = made.store.path / seal.path
        content = path.read_bytes()
        if harm == "missing":
            path.unlink()
        else:
            path.write_bytes(content[:-7] if harm == "truncated" else content + b"\0")
        store = Store.open(made.store.path)
        assert store.missing() == ([LAST] if harm == "missing" else [])
        findings = store.verify_part(LAST)
        assert [f.part for f in findings] == [LAST]
        assert seal.path in findings[0].what
        fields = [name for name, field in receipt.fields.items() if field.file == seal.path]
        for name in fields:
            with pytest.raises(Damage, match="v001/000002"):
                store.map_part(LAST)[name]
        path.write_bytes(content)
    assert Store.open(made.store.path).verify_part(LAST) == []


def test_swapped_parts_are_named(made: Made):
    one, other = PartId(0, 0), PartId(1, 0)
    for a, b in zip(made.store.receipt(one).files, made.store.receipt(other).files, strict=True):
        first, second = made.store.path / a.path, made.store.path / b.path
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    store = Store.open(made.store.path)
    assert {f.part for f in store.verify_part(one)} == {one}
    assert {f.part for f in store.verify_part(other)} == {other}
    for part in (one, other):
        with pytest.raises(Damage, match=str(part)):
            store.map_part(part)["embedding"].whole()
    # with their receipts, too
    papers = [made.store.path / "parts" / f"{part}.json" for part in (one, other)]
    texts = [p.read_bytes() for p in papers]
    papers[0].write_bytes(texts[1])
    with pytest.raises(Damage, match="is the receipt of part v001/000000"):
        store.receipt(one)
    [finding] = store.verify_part(one)
    assert finding.part == one


def test_parts_come_across_from_another_cache_of_the_same_plan(made: Made, tmp_path):
    other = Store.create(tmp_path / "other", made.store.plan, make_listing())
    other.copy_part(GONE, made.store)
    assert GONE not in other.missing()
    assert len(other.missing()) == len(made.payloads) - 1
    assert other.verify_part(GONE) == []
    assert other.verify_frame() == []
    for name, values in made.payloads[GONE].items():
        assert (other.map_part(GONE)[name].whole() == values).all()


def test_a_damaged_part_is_not_copied(made: Made, tmp_path):
    receipt = made.store.receipt(GONE)
    flip(made.store.path / receipt.files[0].path, receipt.fields["logits"].offset)
    other = Store.create(tmp_path / "other", made.store.plan, make_listing())
    with pytest.raises(Damage, match="v000/000001"):
        other.copy_part(GONE, made.store)
    assert GONE in other.missing()


def test_files_the_plan_does_not_know_are_told(made: Made):
    assert made.store.verify_frame() == []
    stray = made.store.path / "parts" / "v000" / "000099.h5"
    stray.write_bytes(b"what is this")
    [finding] = made.store.verify_frame()
    assert "parts/v000/000099.h5 does not belong" in finding.what


def test_a_cache_without_write_permission_can_be_read(made: Made):
    for folder, _, files in os.walk(made.store.path):
        os.chmod(folder, 0o555)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o444)
    store = Store.open(made.store.path)
    for part, payload in made.payloads.items():
        assert all((store.map_part(part)[n].whole() == v).all() for n, v in payload.items())
    assert store.index.ids[0].startswith("img/")
    for folder, _, _ in os.walk(made.store.path):
        os.chmod(folder, 0o755)


def test_more_parts_than_may_stay_open_can_be_read(made: Made, monkeypatch):
    monkeypatch.setattr("kdcache.store.reading.open_parts.MOST_PARTS", 1)
    store = Store.open(made.store.path)
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
    store = Store.open(made.store.path)
    field = store.map_part(GONE)["embedding"]
    for _ in range(3):
        field.take(np.array([0, 1, 2, 9, 9]))
    assert len(counted) == 2


def test_a_store_travels_to_another_process_as_its_path(made: Made):
    import pickle

    raw = pickle.dumps(made.store)
    assert len(raw) < 300
    again = pickle.loads(raw)
    assert (again.map_part(GONE)["logits"].whole() == made.payloads[GONE]["logits"]).all()
    assert len(pickle.dumps(made.store.index.ids)) < 300
    assert pickle.loads(pickle.dumps(made.store.index.ids))[5] == made.store.index.ids[5]


def test_one_part_with_one_row(tmp_path, backend, compression):
    made = make_cache(tmp_path / "tiny", make_plan(rows=1, backend=backend, compression=compression))
    store = Store.open(made.store.path)
    assert all((store.map_part(PartId(1, 0))[n].whole() == v).all() for n, v in made.payloads[PartId(1, 0)].items())
    assert [f for part in store.plan.parts() for f in store.verify_part(part)] == []
    if backend == "hdf5" and compression:
        h5py, _ = pytest.importorskip("h5py"), pytest.importorskip("hdf5plugin")
        with h5py.File(store.path / "parts" / "v001" / "000000.h5") as file:
            assert (file["embedding"][...] == made.payloads[PartId(1, 0)]["embedding"]).all()
