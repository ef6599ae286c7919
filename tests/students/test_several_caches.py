"""Several caches of the same images feed one training: to the last bit as one cache with the signals of all of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from kdcache.base.progress import Silent
from kdcache.cache import Cache
from kdcache.images.shapes import Shapes
from kdcache.images.source import Listing
from students.options import NamedCache
from students.runs.run import Run
from tests.students.conftest import build_cache, learn, losses_of, same, trained_by
from tests.students.test_fits import make_photos

IMAGES = "shapes:count=32,size=32"
CODECS = {"logits": "full", "features": "float16"}
BOTH = {"recipe": "demo-hint", "steps": 6}


def keeping(out: Path, *signals: str, **asked) -> Path:
    """A cache of these signals alone."""
    codecs = {signal: CODECS[signal] for signal in signals}
    return build_cache(out, signals=signals, codecs=codecs, **{"data": IMAGES, "views": 2, **asked})


def several(*caches: Path, **named: Path) -> tuple[NamedCache, ...]:
    return (*map(NamedCache, caches), *(NamedCache(path, name) for name, path in named.items()))


@pytest.fixture(scope="module")
def caches(tmp_path_factory) -> dict[str, Path]:
    """One cache of logits, one of features, and one of both, all of the same two views of 32 images."""
    folder = tmp_path_factory.mktemp("several")
    kept = {"logits": ("logits",), "features": ("features",), "both": ("logits", "features")}
    return {name: keeping(folder / name, *signals) for name, signals in kept.items()}


@pytest.fixture(scope="module")
def whole(caches, tmp_path_factory) -> Run:
    """Six steps, an epoch and a half, from the one cache that has both signals."""
    return learn(tmp_path_factory.mktemp("several") / "whole", caches["both"], **BOTH)[0]


@pytest.fixture(scope="module")
def joined(caches, tmp_path_factory) -> Run:
    """The same from two caches."""
    pair = several(caches["logits"], caches["features"])
    return learn(tmp_path_factory.mktemp("several") / "joined", pair, **BOTH)[0]


def test_two_caches_are_one_with_both_signals_to_the_last_bit(whole, joined):
    assert len(set(losses_of(whole))) == 6
    assert losses_of(joined) == losses_of(whole)
    assert same(joined, whole)


def test_the_first_cache_decides_nothing_but_the_order_of_the_signals(caches, whole, tmp_path):
    run, _ = learn(tmp_path / "run", several(caches["features"], caches["logits"]), **BOTH)
    assert same(run, whole)


def test_rows_in_another_order_are_joined_by_image_id(caches, whole, tmp_path, monkeypatch):
    scan = Shapes.scan

    def backwards(self) -> Listing:
        listing = scan(self)
        rows = np.arange(len(listing))[::-1]
        return Listing(listing.ids.take(rows), listing.labels[rows], listing.classes, "backwards")

    monkeypatch.setattr(Shapes, "scan", backwards)
    other = keeping(tmp_path / "backwards", "features")
    monkeypatch.undo()
    assert list(Cache.open(other).ids) == list(Cache.open(caches["logits"]).ids)[::-1]
    run, _ = learn(tmp_path / "run", several(caches["logits"], other), **BOTH)
    assert same(run, whole)


def test_an_image_that_one_cache_rejected_is_left_out_of_all(tmp_path):
    photos = make_photos(tmp_path / "photos", 20)
    of_photos = {"data": str(photos), "size": "nano", "views": 1}
    logits = keeping(tmp_path / "logits", "logits", **of_photos)
    picture = (photos / "dog/0.bmp").read_bytes()
    (photos / "dog/0.bmp").write_bytes(b"\0" * len(picture))
    features = keeping(tmp_path / "features", "features", **of_photos)
    both = keeping(tmp_path / "both", "logits", "features", **of_photos)
    (photos / "dog/0.bmp").write_bytes(picture)
    assert [len(Cache.open(path).rejected(0)) for path in (logits, features, both)] == [0, 1, 1]
    one, _ = learn(tmp_path / "one", both, **BOTH)
    two, _ = learn(tmp_path / "two", several(logits, features), **BOTH)
    assert (one.record.rejected, two.record.rejected) == (1, 1)
    assert same(one, two)


def test_a_training_stopped_within_an_epoch_ends_the_same(caches, whole, tmp_path):
    pair = several(caches["logits"], caches["features"])
    learn(tmp_path / "run", pair, where={"stop_at": 3}, **BOTH)
    run, _ = learn(tmp_path / "run", resume=True)
    assert losses_of(run) == losses_of(whole)
    assert same(run, whole)


@pytest.mark.slow
def test_two_processes_read_the_same_from_two_caches_as_from_one(caches, tmp_path):
    asked = ["--recipe", "demo-hint", "--steps", "3", "--batch", "8", "--size", "32"]
    one = trained_by(2, tmp_path / "one", "--cache", str(caches["both"]), *asked)
    pair = ["--cache", f"first={caches['logits']}", "--cache", str(caches["features"])]
    two = trained_by(2, tmp_path / "two", *pair, *asked)
    assert losses_of(one) == losses_of(two)
    assert same(one, two)


def test_two_teachers_of_the_same_signal_are_told_apart_by_the_names_of_their_caches(caches, tmp_path):
    """Each objective is the one of a training with its cache alone."""
    coarse = build_cache(tmp_path / "coarse", codec="topk:5", data=IMAGES, views=2)
    objectives = "objectives={mine: {kind: labels, signal: fine.logits}, other: {kind: labels, signal: coarse.logits}}"
    pair = several(fine=caches["logits"], coarse=coarse)
    run, _ = learn(tmp_path / "run", pair, recipe="demo-hint", settings=(objectives,), steps=1)
    alone = [losses_of(learn(tmp_path / path.name, path, steps=1)[0])[0] for path in (caches["logits"], coarse)]
    (line,) = (line for line in run.metrics() if line["kind"] == "train")
    assert [line["losses"]["mine.soft"], line["losses"]["other.soft"]] == alone
    assert alone[0] != alone[1]


def test_a_name_may_be_given_where_it_is_not_needed(caches, whole, tmp_path):
    settings = ("objectives.hint.signal=maps.features",)
    run, _ = learn(tmp_path / "run", several(caches["logits"], maps=caches["features"]), settings=settings, **BOTH)
    assert same(run, whole)


@pytest.mark.parametrize("named", [False, True])
def test_a_list_or_a_table_of_caches_from_python(caches, whole, tmp_path, named):
    from students import train_student

    paths = [caches["logits"], str(caches["features"])]
    run = train_student(
        cache=dict(zip(("a", "b"), paths, strict=True)) if named else paths,
        recipe="demo-hint", size=32, batch=8, steps=6, val="none", log_every=1, device="cpu", workers=0,
        set={"precision": "float32", "optimiser.warmup": 0}, out=tmp_path / "run",
    ).run  # fmt: skip
    assert losses_of(run) == losses_of(whole)
    assert [cache.name for cache in run.record.all_caches] == (["a", "b"] if named else [None, None])


def test_run_json_has_every_cache_and_one_cache_as_ever(caches, whole, joined):
    one, two = (json.loads((run.path / "run.json").read_text()) for run in (whole, joined))
    assert "caches" not in one
    assert one["cache"].keys() == {"path", "identity", "teacher", "signals"}
    assert two["cache"] is None
    assert [cache["path"] for cache in two["caches"]] == [str(caches["logits"]), str(caches["features"])]
    assert [cache["signals"] for cache in two["caches"]] == [{"logits": "full"}, {"features": "float16"}]
    assert [cache["identity"] for cache in two["caches"]] == [
        Cache.open(caches[name]).plan.identity for name in ("logits", "features")
    ]
    assert all(cache["teacher"]["family"] == "florence" for cache in two["caches"])


def test_a_run_of_two_caches_is_judged_reported_listed_exported_and_a_teacher(caches, joined, tmp_path):
    from kdcache.teachers.registry import open_teacher
    from students.export.timm import export_timm
    from students.judging.evaluate import JudgeOptions, judge_run
    from students.report import write_report
    from students.runs.overview import list_runs

    report, _ = judge_run(
        joined, JudgeOptions(data="shapes:count=8,size=32,split=val", device="cpu", workers=0), Silent()
    )
    assert report.images == 8
    page = write_report(joined, tmp_path / "page.html").read_text("utf-8")
    assert all(str(caches[name]) in page for name in ("logits", "features"))
    assert "cannot be shown" not in page
    assert page.count("Training images, with the teacher") == 1
    (entry,) = [entry.plain() for entry in list_runs(joined.path.parent) if entry.path == joined.path]
    assert entry["cache"] == str(caches["logits"])
    assert entry["caches"] == [str(caches["logits"]), str(caches["features"])]
    assert export_timm(joined, tmp_path / "exported") is not None
    assert open_teacher(f"run:{joined.path}").spec.classes == joined.record.student.classes


def test_a_cache_is_named_before_an_equals_sign_unless_its_own_name_has_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k=10").mkdir()
    assert NamedCache.parsed("k=10") == NamedCache(Path("k=10"))
    assert NamedCache.parsed("one=k=10") == NamedCache(Path("k=10"), "one")
    assert NamedCache.parsed("k=11") == NamedCache(Path("11"), "k")
    assert NamedCache.parsed("./k=11") == NamedCache(Path("k=11"))
