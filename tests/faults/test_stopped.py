"""What makes, changes or copies caches and students, killed at any moment: the same command finishes it."""

from pathlib import Path
from shutil import copytree

import pytest

from kdcache.base.progress import Silent
from kdcache.build.resume import prepare_again
from kdcache.build.run import build
from kdcache.check.repair import repair
from kdcache.errors import KDError
from kdcache.exchange import export_tinyvit, import_tinyvit
from kdcache.reshape.convert import convert
from kdcache.reshape.merge import merge
from kdcache.reshape.more_views import add_views
from kdcache.store import Store
from tests.exchange.making import CLIP_LIKE, Pictures, read_as_they_do, their_records, write_theirs
from tests.faults.moments import moments
from tests.store.making import make_cache, make_plan
from tests.students.conftest import build_cache

IDS = tuple(f"{i}.jpg" for i in range(40))


def whole(cache: Path) -> dict[str, bytes]:
    """Every byte of a cache that is complete, but for locks and for receipts, which tell how long it took."""
    store = Store.open(cache)
    assert store.missing() == []
    assert store.verify_frame() == []
    assert not any(store.verify_part(part) for part in store.plan.parts())
    assert not [path for path in cache.rglob("*") if ".tmp-" in path.name]
    kept = [path for path in cache.rglob("*") if path.is_file() and path.suffix not in (".json", ".lock")]
    return {str(path.relative_to(cache)): path.read_bytes() for path in kept}


@pytest.fixture
def theirs(tmp_path) -> Path:
    for epoch in (3, 5):
        write_theirs(
            tmp_path / "theirs" / f"logits_top2_epoch{epoch}", their_records([i[:-4] for i in IDS], 2, 9, epoch)
        )
    return tmp_path / "theirs"


def bring_in(theirs: Path, out: Path, classes: int = 9):
    return import_tinyvit(
        theirs, out, Pictures(IDS), classes=classes, preprocess=CLIP_LIKE, progress=Silent(), keys="stem"
    )


def test_an_import_is_finished_by_the_same_command(tmp_path, theirs):
    with moments(tmp_path / "c", tmp_path) as left:
        bring_in(theirs, tmp_path / "c")
    assert len(left) > 5
    for _, copy in left:
        bring_in(theirs, copy)
        assert whole(copy) == whole(tmp_path / "c")


def test_an_import_that_fails_leaves_nothing_in_the_way_of_the_right_one(tmp_path, theirs):
    """And its hint is a number of classes that will do, whichever record was met first."""
    with pytest.raises(KDError, match="beyond the 3 classes given") as refused:
        bring_in(theirs, tmp_path / "c", classes=3)
    assert not (tmp_path / "c").exists()
    assert refused.value.hint == "their class numbers go up to 8: --class-count 9 or more"
    assert bring_in(theirs, tmp_path / "c", classes=9).without_record == 0


def test_an_import_that_was_repaired_is_finished_by_itself_and_says_so(tmp_path, theirs):
    from kdcache.build.options import BuildOptions

    bring_in(theirs, tmp_path / "c")
    before = whole(tmp_path / "c")
    next((tmp_path / "c").rglob("*.h5")).write_bytes(b"damaged")
    assert repair(tmp_path / "c", apply=True, progress=Silent()).missing == 1
    with pytest.raises(KDError) as refused:
        prepare_again(tmp_path / "c", BuildOptions(""))
    assert "run again what made it (`kd cache import tinyvit`" in refused.value.hint
    bring_in(theirs, tmp_path / "c")
    assert whole(tmp_path / "c") == before


def test_a_tinyvit_export_is_finished_by_the_same_command(tmp_path, theirs):
    bring_in(theirs, tmp_path / "c")
    store = Store.open(tmp_path / "c")
    with moments(tmp_path / "out", tmp_path) as left:
        done = export_tinyvit(store, tmp_path / "out", progress=Silent())
    assert len(left) == 5
    for names, copy in left:
        finished = {"logits_top2_epoch3", "logits_top2_epoch5"} <= names
        if finished and "unfinished" not in (copy / "kd-export.json").read_text():
            continue  # nothing is left to do, and an export never overwrites
        again = export_tinyvit(store, copy, progress=Silent())
        assert (again.records, again.epochs, again.left_out) == (done.records, done.epochs, 0)
        for epoch in ("logits_top2_epoch3", "logits_top2_epoch5"):
            assert read_as_they_do(copy / epoch, 2) == read_as_they_do(tmp_path / "out" / epoch, 2)
        assert (copy / "kd-export.json").read_bytes() == (tmp_path / "out" / "kd-export.json").read_bytes()


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_converting_and_merging_are_finished_by_the_same_command(tmp_path, backend):
    made = make_cache(tmp_path / "c", make_plan(rows=32, views=1))
    ways = {
        "convert": lambda out: convert(made.store.path, out, backend=backend, compression="zstd:1", progress=Silent()),
        "merge": lambda out: merge([made.store.path], out, progress=Silent()),
    }
    for name, way in ways.items():
        with moments(tmp_path / name, tmp_path / f"{name}s") as left:
            way(tmp_path / name)
        assert len(left) > 5
        for _, copy in left:
            way(copy)
            assert whole(copy) == whole(tmp_path / name)


def test_a_repair_is_finished_by_a_build(tmp_path):
    from kdcache.build.options import BuildOptions

    cache = build_cache(tmp_path / "c", data="shapes:count=32,size=32")
    before = whole(cache)
    copytree(cache, tmp_path / "damaged")
    for file in (tmp_path / "damaged").rglob("*.h5"):
        file.write_bytes(b"damaged")
    with moments(tmp_path / "damaged", tmp_path) as left:
        repair(tmp_path / "damaged", apply=True, progress=Silent())
    assert len(left) > 3
    for _, copy in left:
        repair(copy, apply=True, progress=Silent())
        build(prepare_again(copy, BuildOptions("", workers=0)), progress=Silent())
        assert whole(copy) == before


def test_views_are_added_or_not(tmp_path):
    cache = build_cache(tmp_path / "c", data="shapes:count=16,size=32", views=2)
    with moments(cache, tmp_path / "left") as left:
        add_views(cache, 1)
    assert {Store.open(copy).plan.views.count for _, copy in left} <= {2, 3}


def test_a_student_for_timm_is_finished_by_the_same_command(tmp_path):
    from students.export.timm import export_timm
    from tests.students.trained import make_run

    run = make_run(tmp_path / "run")
    with moments(tmp_path / "out", tmp_path) as left:
        files = export_timm(run, tmp_path / "out").files
    assert len(left) == 5
    for names, copy in left:
        if "model.safetensors" in names:
            continue  # it is whole, and an export never overwrites
        again = export_timm(run, copy).files
        assert [file.read_bytes() for file in again] == [file.read_bytes() for file in files]
