"""One random bit flipped anywhere in a cache: named, or harmless to every value; never a wrong value without an error."""

import random
from pathlib import Path

import pytest

from kdcache.errors import Damage, KDError, Mismatch
from kdcache.store import Store
from tests.store.making import Made, make_cache, make_listing, make_plan

TRIALS = {None: 300, "zstd:3": 100, "blosc:5": 100}


@pytest.fixture(scope="module", params=[(b, c) for b in ("hdf5", "zarr") for c in TRIALS], ids=str)
def made(request, tmp_path_factory) -> Made:
    backend, compression = request.param
    plan = make_plan(backend=backend, compression=compression, rows=40, views=2)
    return make_cache(tmp_path_factory.mktemp("flip") / "cache", plan)


def files_of(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file() and p.parent.name != "locks")


def pick(random_: random.Random, files: list[Path], sizes: list[int]) -> tuple[Path, int]:
    """Half of the trials anywhere in all bytes, half in any file, so that small files are hit too."""
    file = random_.choices(files, sizes)[0] if random_.random() < 0.5 else random_.choice(files)
    return file, random_.randrange(file.stat().st_size * 8)


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def read_all(made: Made) -> bool:
    """Read every value of the cache -> whether all are right. Raises when something is seen."""
    store = Store.open(made.store.path)
    listing = make_listing(40)
    right = list(store.index.ids) == listing.ids.to_pylist()
    right &= store.index.labels.tolist() == listing.labels.tolist()
    right &= all(store.index.row_of(image_id) == row for row, image_id in enumerate(listing.ids.to_pylist()))
    right &= store.bad_rows() == {3: "truncated"} and store.missing() == []
    for part, payload in made.payloads.items():
        mapped = store.map_part(part)
        right &= all((mapped[name].whole() == values).all() for name, values in payload.items())
    return right


def verified(path: Path) -> bool:
    """Whether a full verification finds nothing."""
    try:
        store = Store.open(path)
    except KDError:
        return False
    return not store.verify_frame() and not any(store.verify_part(part) for part in store.plan.parts())


def test_no_flipped_bit_is_read_as_a_value(made: Made):
    made.bad.pop(41, None)
    assert read_all(made)
    assert verified(made.store.path)
    random_ = random.Random(made.store.plan.identity)
    files = files_of(made.store.path)
    sizes = [f.stat().st_size for f in files]
    outcomes = {"named": 0, "harmless": 0}
    for _ in range(TRIALS[made.store.plan.layout.compression]):
        file, bit = pick(random_, files, sizes)
        flip(file, bit)
        try:
            assert read_all(made), f"bit {bit} of {file} was read as a value"
            outcomes["harmless"] += 1
        except (Damage, Mismatch):
            outcomes["named"] += 1
        assert not verified(made.store.path), f"verify does not see bit {bit} of {file}"
        flip(file, bit)
    assert verified(made.store.path)
    assert outcomes["named"] > 20
