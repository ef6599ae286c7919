"""Shards cut short, lost, swapped, or from another cache are named, never read."""

import random
import shutil

import numpy as np
import pytest

from kdcache.errors import Damage, KDError, Mismatch
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.making import Made, make_cache, make_plan


@pytest.fixture(scope="module", params=["hdf5", "zarr"])
def finished(request, tmp_path_factory) -> Made:
    return make_cache(tmp_path_factory.mktemp("shards") / "cache", make_plan(backend=request.param))


@pytest.fixture
def made(finished, tmp_path) -> Made:
    shutil.copytree(finished.store.path, tmp_path / "cache")
    return Made(Store.open(tmp_path / "cache"), finished.payloads, finished.bad)


def payload_files(store: Store, part: PartId):
    return [store.path / seal.path for seal in store.receipt(part).files]


def assert_named(made: Made, part: PartId, *, harmed: int = 1) -> None:
    """Reading the part fails or is right, field by field; at least one fails; verify names it."""
    store = Store.open(made.store.path)
    errors = []
    for name, values in made.payloads[part].items():
        try:
            assert (store.map_part(part)[name].whole() == values).all()
        except (Damage, Mismatch) as error:
            errors.append(str(error))
    assert len(errors) >= harmed
    assert all(str(part) in error for error in errors)
    assert part in {finding.part for finding in store.verify_part(part)}


def test_a_shard_cut_anywhere_is_named(made: Made):
    random_ = random.Random(5)
    for part in made.payloads:
        for path in payload_files(made.store, part):
            sound = path.read_bytes()
            path.write_bytes(sound[: random_.randrange(len(sound))])
            assert_named(made, part)
            path.write_bytes(sound)


def test_a_lost_shard_is_not_read_as_zeros(made: Made):
    for part in made.payloads:
        for path in payload_files(made.store, part):
            moved = path.rename(path.with_name("away"))
            assert_named(made, part)
            assert part in Store.open(made.store.path).missing()
            moved.rename(path)


def test_two_shards_of_the_same_size_swapped_are_named(made: Made):
    """In the same view, and across views."""
    for one, other in ((PartId(0, 0), PartId(0, 1)), (PartId(0, 1), PartId(1, 1))):
        for a, b in zip(payload_files(made.store, one), payload_files(made.store, other), strict=True):
            assert a.stat().st_size == b.stat().st_size
            first, second = a.read_bytes(), b.read_bytes()
            if first == second:
                continue  # which rows are valid is the same in both: nothing is lost by it
            a.write_bytes(second)
            b.write_bytes(first)
            assert_named(made, one)
            assert_named(made, other)
            a.write_bytes(first)
            b.write_bytes(second)


def test_two_rows_swapped_inside_a_shard_are_named(made: Made):
    part = PartId(0, 1)
    seal = made.store.receipt(part).fields["embedding"]
    path = made.store.path / seal.file
    raw = bytearray(path.read_bytes())
    width = seal.nbytes // seal.rows
    one, other = seal.offset, seal.offset + 9 * width
    raw[one : one + width], raw[other : other + width] = raw[other : other + width], raw[one : one + width]
    path.write_bytes(raw)
    assert_named(made, part)
    assert [f.rows for f in made.store.verify_part(part)] == [range(32, 36), range(40, 44)]


def test_a_part_of_another_cache_is_named(made: Made, tmp_path):
    """With the payload alone, and with its receipt."""
    other = make_cache(tmp_path / "other", make_plan(backend=made.store.plan.layout.backend, seed=5))
    part = PartId(1, 0)
    for path in payload_files(other.store, part):
        target = made.store.path / path.relative_to(other.store.path)
        raw = bytearray(path.read_bytes())
        target.write_bytes(raw)
    receipt = f"parts/{part}.json"
    shutil.copy(other.store.path / receipt, made.store.path / receipt)
    assert_named(made, part, harmed=len(made.payloads[part]))


def test_shards_of_two_builds_with_different_values_do_not_mix(made: Made):
    """A machine that says other bits may not leave its file beside the receipt of the first."""
    part = PartId(0, 0)
    receipt = (made.store.path / "parts" / f"{part}.json").read_bytes()
    payload = {name: values.copy() for name, values in made.payloads[part].items()}
    payload["embedding"][7] = np.nextafter(payload["embedding"][7], np.float32(9))
    made.store.write_part(part, payload, {3: "truncated"})
    (made.store.path / "parts" / f"{part}.json").write_bytes(receipt)
    assert_named(made, part)
    with pytest.raises(KDError, match="rows 4-7"):
        made.store.map_part(part)["embedding"].take(np.array([7]))
