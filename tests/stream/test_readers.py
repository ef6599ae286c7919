"""What a reader of parts promises, whoever asks: one suite for a part alone and for a view of many, in every place and layout."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from kdcache.errors import Damage
from kdcache.store import Store
from kdcache.store.plan import PartId
from kdcache.store.reading.piece import Piece
from kdcache.stream import Shelf
from tests.store.making import Made, copy_place, flip, make_cache, make_plan
from tests.store.making import places as places
from tests.store.making import without_fsync as without_fsync
from tests.stream.conftest import stored_row, whole_array

KINDS = [(backend, compression) for backend in ("hdf5", "zarr") for compression in (None, "zstd:3", "blosc:5")]
VIEW, ROWS = 1, 90
FIELDS = ("logits", "embedding", "features")


@dataclass(frozen=True)
class Reader:
    """Any rows of view 1, by a shelf of the view or part by part."""

    gather: Callable[[str, NDArray[np.int64]], NDArray[np.generic]]
    whole: Callable[[str, int], NDArray[np.generic]]
    announce: Callable[[str, int, int], object]


def by_view(store: Store) -> Reader:
    shelf = Shelf(store, VIEW)

    def gather(name: str, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        out = np.empty((len(rows), *store.fields[name].shape), store.fields[name].dtype)
        shelf.fetch(rows, {name: out})
        return out

    def announce(name: str, first: int, last: int) -> None:
        for page in shelf.announce(np.array([first]), np.array([last]), [name]):
            shelf.bring(page)

    return Reader(gather, shelf.whole, announce)


def by_part(store: Store) -> Reader:
    size = store.plan.layout.rows_per_part

    def gather(name: str, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        out = np.empty((len(rows), *store.fields[name].shape), store.fields[name].dtype)
        for part in np.unique(rows // size).tolist():
            here = rows // size == part
            out[here] = store.map_part(PartId(VIEW, part))[name].take(rows[here] - part * size)
        return out

    def announce(name: str, first: int, last: int) -> None:
        for part in range(first // size, (last - 1) // size + 1):
            field = store.map_part(PartId(VIEW, part))[name]
            field.announce(max(0, first - part * size), min(field.rows, last - part * size))

    return Reader(gather, lambda name, part: store.map_part(PartId(VIEW, part))[name].whole(), announce)


@pytest.fixture(params=[by_view, by_part], ids=["view", "part"])
def reader(request) -> Callable[[Store], Reader]:
    return request.param


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def finished(request, tmp_path_factory) -> Made:
    backend, compression = request.param
    plan = make_plan(backend=backend, compression=compression)
    return make_cache(tmp_path_factory.mktemp("caches") / "made", plan)


@pytest.fixture
def made(places, finished: Made) -> Made:
    """A cache of each kind in each place, which a test may damage."""
    return Made(Store.open(copy_place(finished.store.place, places("cache"))), finished.payloads, finished.bad)


@pytest.fixture
def checked(monkeypatch) -> list[tuple[str, str, int]]:
    """Every block that is hashed: part, field, number."""
    seen: list[tuple[str, str, int]] = []
    real = Piece.check
    monkeypatch.setattr(Piece, "check", lambda p, n, c: seen.append((p.part, p.field, n)) or real(p, n, c))
    return seen


def orders() -> Iterator[NDArray[np.int64]]:
    """Rows as they may be wanted."""
    yield np.arange(ROWS)
    yield np.random.default_rng(1).permutation(ROWS)[:17]
    yield np.array([89, 0, 0, 31, 32, 64, 63])
    yield np.zeros(0, np.int64)


def test_rows_come_back_bit_for_bit_in_the_order_they_are_wanted(made: Made, reader) -> None:
    read = reader(made.store)
    for rows in orders():
        for name in FIELDS:
            expected = [stored_row(made, VIEW, row, name).tobytes() for row in rows.tolist()]
            assert [row.tobytes() for row in read.gather(name, rows)] == expected


def test_arrays_of_a_part_come_back_whole(made: Made, reader) -> None:
    read = reader(made.store)
    for part in range(3):
        found = read.whole("features_scale", part)
        assert found.tobytes() == whole_array(made, VIEW, part * 32, "features_scale").tobytes()
        assert not found.flags.writeable


def test_only_blocks_that_are_touched_are_checked_and_each_once(made: Made, reader, checked) -> None:
    read, size = reader(made.store), made.store.plan.layout.block_rows["embedding"]
    rows = np.array([0, 1, size, 40, 41])
    for _ in range(3):
        read.gather("embedding", rows)
        read.gather("embedding", rows[::-1])
    blocks = {(f"v001/{row // 32:06d}", "embedding", row % 32 // size) for row in rows.tolist()}
    assert len(checked) == len(blocks)
    assert set(checked) == blocks


def test_a_flipped_bit_is_named_with_its_rows_and_no_others(made: Made, reader) -> None:
    receipt = made.store.receipt(PartId(VIEW, 1))
    for name in FIELDS:
        seal = receipt.fields[name]
        number = len(seal.blocks) - 1
        offset, size = seal.span(number)
        flip(made.store.place, seal.file, offset + size // 2, 5)
        rows = receipt.rows_of(name, number, number)
        read = reader(Store.open(made.store.place))
        for _ in range(2):
            with pytest.raises(Damage, match=f"part v001/000001, field '{name}', rows {rows[0]}-{rows[-1]}") as caught:
                read.gather(name, np.array([0, rows[0]]))
            assert caught.value.details["rows"] == (rows[0], rows[-1])
        others = np.setdiff1d(np.arange(ROWS), rows)
        assert all(
            np.array_equal(found, stored_row(made, VIEW, row, name))
            for row, found in zip(others.tolist(), read.gather(name, others), strict=True)
        )
        flip(made.store.place, seal.file, offset + size // 2, 5)


def test_a_damaged_array_of_a_part_is_named(made: Made, reader) -> None:
    seal = made.store.receipt(PartId(VIEW, 2)).fields["features_scale"]
    flip(made.store.place, seal.file, seal.offset)
    read = reader(made.store)
    with pytest.raises(
        Damage, match="part v001/000002, field 'features_scale', rows 64-89: damaged, the checksum differs"
    ):
        read.whole("features_scale", 2)
    assert len(read.whole("features_scale", 1))


@pytest.mark.parametrize("harm", ["truncated", "longer", "missing"])
def test_a_file_of_the_wrong_length_is_not_read(made: Made, reader, harm: str) -> None:
    seal = made.store.receipt(PartId(VIEW, 1)).fields["embedding"]
    place = made.store.place
    content = place.read(seal.file, 1 << 30)
    if harm == "missing":
        place.remove(seal.file)
    else:
        place.replace(seal.file, [content[:-1] if harm == "truncated" else content + b"\0"])
    read = reader(Store.open(place))
    message = "is missing" if harm == "missing" else "bytes, but its receipt records"
    with pytest.raises(Damage, match=rf"part v001/000001: .*{seal.file} .*{message}"):
        read.gather("embedding", np.array([40]))
    assert np.array_equal(read.gather("embedding", np.array([5]))[0], stored_row(made, VIEW, 5, "embedding"))


def test_announcing_changes_nothing(made: Made, reader, checked) -> None:
    read = reader(made.store)
    for name in FIELDS:
        for first, last in ((0, 90), (31, 33), (89, 90)):
            read.announce(name, first, last)
    assert checked == [], "what is announced is not read yet"
    found = read.gather("features", np.arange(ROWS))
    assert all(np.array_equal(row, stored_row(made, VIEW, i, "features")) for i, row in enumerate(found))


def test_who_reads_while_a_part_is_written_again_reads_the_old_one(made: Made, reader) -> None:
    """A file is never changed, only replaced: what is open stays what it was."""
    read, part = reader(made.store), PartId(VIEW, 0)
    before = read.gather("embedding", np.arange(32)).copy()
    other = {name: np.zeros_like(values) for name, values in made.payloads[part].items()}
    Store.open(made.store.place).write_part(part, other, {})
    assert np.array_equal(read.gather("embedding", np.arange(32)), before)
    assert not reader(Store.open(made.store.place)).gather("embedding", np.arange(32)).any()
