"""What is done with a cache, in every place: it is created, built, verified, damaged, repaired, grown and read."""

import threading

import numpy as np
import pytest

from kdcache import Cache
from kdcache.base.progress import Silent
from kdcache.check.repair import repair
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage, Locked, Mismatch, UsageError
from kdcache.reshape.convert import convert
from kdcache.reshape.merge import merge
from kdcache.store import Store
from kdcache.store.frame import INDEX, PLAN
from kdcache.store.parts.there import receipt_name
from kdcache.store.plan import PartId
from kdcache.store.store import REJECTED
from tests.store.making import Made, copy_place, fill, flip, make_cache, make_listing, make_plan, payload_of

PART = PartId(1, 1)


@pytest.fixture
def made(places, backend, finished_cache) -> Made:
    """A small finished cache in each kind of place."""
    finished = finished_cache(backend, None)
    return Made(Store.open(copy_place(finished.store.place, places("cache"))), finished.payloads, finished.bad)


def test_a_place_without_a_plan_is_no_cache(places):
    with pytest.raises(UsageError, match=r"is not a cache: it has no plan\.json"):
        Store.open(places("empty"))
    assert Store.plan_at(places("empty")) is None


def test_a_place_that_is_in_use_is_not_made_a_cache(places):
    place = places("mine")
    place.put_new("notes.txt", [b"mine"])
    with pytest.raises(UsageError, match="is not empty and not a cache"):
        Store.create(place, make_plan(), make_listing())
    assert place.list() == ["notes.txt"]


def test_a_cache_that_was_begun_goes_on_and_another_is_refused(places):
    place, plan = places("cache"), make_plan()
    with Store.create(place, plan, make_listing()).building():
        Store.open(place).write_part(PART, payload_of(plan, PART), {})
    store = Store.create(place, plan, make_listing())
    assert Store.plan_at(place) == plan
    assert store.built() == [PART]
    assert len(store.missing(sizes=True)) == len(plan.parts()) - 1
    with pytest.raises(Mismatch, match=r"views\.seed"):
        Store.create(place, make_plan(seed=5), make_listing())
    place.remove(INDEX)
    assert Store.create(place, plan, make_listing()).index.ids[3] == make_listing().ids[3].as_py()


def test_what_is_built_is_sound_and_read(made: Made):
    cache = Cache.open(made.store.place)
    report = verify(made.store.place, VerifyOptions(untrusted=True), Silent())
    assert (report.findings, report.warnings, report.missing) == ([], [], 0)
    assert str(made.store.place) in repr(cache)
    assert cache.rejected(1).tolist() == sorted(made.bad)
    rows = []
    for batch in cache.stream(8, seed=3, views=[1]):
        rows += batch.rows.tolist()
        for name, array in batch.fields.items():
            for row, found in zip(batch.rows.tolist(), array, strict=True):
                part = PartId(1, row // 32)
                assert np.array_equal(found, made.payloads[part][name][row % 32])
    assert sorted(rows) == [row for row in range(90) if row not in made.bad]
    image_id = cache.ids[50]
    assert cache.get(image_id, view=1, raw=True)["embedding"].tolist() == made.payloads[PART]["embedding"][18].tolist()


def test_damage_is_named_by_every_reader_and_repaired(made: Made, places):
    store = made.store
    seal = store.receipt(PART).fields["embedding"]
    flip(store.place, seal.file, seal.span(0)[0])
    [finding] = verify(store.place, VerifyOptions(), Silent()).findings
    assert (finding.part, finding.field) == (PART, "embedding")
    message = rf"part {PART}, field 'embedding', rows {finding.rows[0]}-{finding.rows[-1]}: damaged"
    with pytest.raises(Damage, match=message):
        Store.open(store.place).map_part(PART)["embedding"].whole()
    with pytest.raises(Damage, match=message):
        list(Cache.open(store.place).stream(8, views=[1]))
    with pytest.raises(Damage, match=message):
        convert(store.place, places("other"), backend="zarr", compression="zstd:1", progress=Silent())
    assert not repair(store.place, apply=False, progress=Silent()).applied
    assert repair(store.place, apply=True, progress=Silent()).parts == (PART,)
    again = Store.open(store.place)
    assert again.missing() == [PART]
    fill(again, made.bad)
    assert verify(store.place, VerifyOptions(), Silent()).ok


def test_a_damaged_frame_is_named_and_restored(made: Made):
    place = made.store.place
    flip(place, INDEX, 200, 3)
    [finding] = verify(place, VerifyOptions(), Silent()).findings
    assert INDEX in finding.what
    assert Store.create(place, made.store.plan, make_listing()).verify_frame() == []
    flip(place, PLAN, 90)
    with pytest.raises(Damage, match=r"plan\.json is damaged"):
        Store.open(place)


def test_a_damaged_receipt_is_named(made: Made):
    flip(made.store.place, receipt_name(PART), 60)
    with pytest.raises(Damage, match=rf"part {PART}: .*{receipt_name(PART)} is damaged"):
        made.store.receipt(PART)
    [finding] = made.store.verify_part(PART)
    assert finding.part == PART


def test_views_are_added_and_built(made: Made):
    with made.store.building():
        made.store.plan_views(3)
    grown = Store.open(made.store.place)
    assert grown.identity == made.store.identity
    assert {part.view for part in grown.missing()} == {2}
    fill(grown, made.bad)
    assert Store.open(made.store.place).missing_count == 0


def test_rejected_images_are_listed_anew(made: Made):
    for _ in range(2):
        assert made.store.write_rejected() == 2
    assert {entry.row: entry.reason for entry in made.store.rejected()} == made.bad
    assert [entry.image_id for entry in made.store.rejected()] == [made.store.index[row] for row in made.bad]
    made.store.place.remove(REJECTED)
    assert made.store.rejected() == []


@pytest.mark.parametrize(("share", "other"), [(None, None), (None, (1, 2)), ((1, 2), None), ((1, 2), (1, 4))])
def test_two_builders_never_build_the_same_part(made: Made, share, other):
    store, again = made.store, Store.open(made.store.place)
    with store.building(share):
        with pytest.raises(Locked, match=str(store.place)), again.building(other):
            pass
        if share is not None:
            with again.building((2, 2)):
                pass
    with again.building(other):
        pass


def test_threads_build_a_cache_together(places, backend):
    plan, place = make_plan(backend=backend), places("cache")
    Store.create(place, plan, make_listing())

    def build(number: int) -> None:
        store = Store.open(place)
        with store.building((number, 3)):
            for part in list(plan.parts())[number - 1 :: 3]:
                store.write_part(part, payload_of(plan, part), {})

    threads = [threading.Thread(target=build, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Store.open(place).missing() == []
    assert verify(place, VerifyOptions(), Silent()).ok


def test_parts_are_converted_merged_and_checked_between_places(made: Made, places):
    done = convert(made.store.place, places("zarr"), backend="zarr", compression="zstd:1", progress=Silent())
    assert verify(done.place, VerifyOptions(untrusted=True), Silent()).ok
    made.store.drop_part(PART)
    whole = merge([made.store.place], places("merged"), progress=Silent())
    assert (whole.parts_missing, whole.parts_written) == (1, len(made.payloads) - 1)
    for part, payload in made.payloads.items():
        mapped = Store.open(done.place).map_part(part)
        assert all(np.array_equal(mapped[name].whole(), values) for name, values in payload.items())


def test_the_same_plan_gives_the_same_cache_everywhere(tmp_path, made: Made):
    here = make_cache(tmp_path / "here", made.store.plan).store.place
    for name, kind in here.walk():
        if kind == "file" and not name.startswith("locks/"):
            assert here.map(name) == made.store.place.map(name), name
