"""Caches and runs of an early release: read, checked and gone on with, whatever new ones are like. See README.md."""

import filecmp
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.cache import Cache
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.codecs.distribution import TopK
from kdcache.errors import BadImage
from kdcache.store import Store
from tests.golden.conftest import FACTS, Goldens
from tests.golden.facts import facts_of, machine, parts_of, weights_of

HERE = Path(__file__).parent
CACHES, RUNS = FACTS["caches"], FACTS["runs"]
SAME_MACHINE = machine() == FACTS["made"]
USUAL = BuildOptions("", devices=("cpu",), workers=0)


def data_of(goldens: Goldens, name: str) -> str | None:
    """Where the images of a cache lie now, when they are no generated ones."""
    return str(goldens.take("photos")) if name.startswith("photos") else None


def weights_for(goldens: Goldens, name: str) -> str | None:
    """Where the weights of its teacher lie now, when they are not in the package."""
    if name == "of-run":
        return str(goldens.run("whole"))
    return str(goldens.take("teacher.pt")) if name.startswith("dense") else None


@pytest.mark.parametrize("name", sorted(CACHES))
def test_a_cache_reads_as_it_did(name, goldens):
    """Identity, ids, labels, decoded rows, literal values, missing parts."""
    assert facts_of(goldens.cache(name)) == CACHES[name]


@pytest.mark.parametrize("name", sorted(CACHES))
def test_a_cache_is_found_sound_its_views_are_replayed_and_its_teacher_says_the_same(name, goldens):
    cache = goldens.cache(name)
    if name == "imported":
        report = verify(cache, VerifyOptions(), Silent())  # by TinyViT's own augmentation, of an unknown teacher
    else:
        ask = VerifyOptions(replay=200, teacher=8, data=data_of(goldens, name), weights=weights_for(goldens, name))
        report = verify(cache, ask, Silent())
        assert report.replayed == min(200, sum(len(rows) for rows in good_rows(cache)))
        assert report.rerun == 8
    assert not [str(finding) for finding in report.findings]
    assert report.missing == len(CACHES[name]["missing"])


def good_rows(path: Path) -> list[list[int]]:
    """Of every built part."""
    store = Store.open(path)
    return [[row for row in store.plan.rows_of(part) if row not in store.bad_rows_of(part)] for part in store.built()]


def test_an_image_that_could_not_be_read_is_still_known(goldens):
    cache = Cache.open(goldens.cache("photos"))
    assert cache.rejected(0).tolist() == [6]
    assert cache.classes == ("apple pie", "apple-tart", "apple"), "in the order of that release"
    with pytest.raises(BadImage, match="apple pie/6"):
        cache.get("apple pie/6.png")


def same_parts(cache: Path, golden: str) -> None:
    """The files of a whole golden; on another machine, its rows within what another machine rounds."""
    mine, wanted = parts_of(cache), CACHES[golden]["files"]
    assert mine.keys() == wanted.keys()
    if SAME_MACHINE:
        assert mine == wanted
    ours, theirs = Store.open(cache), Store.open(HERE / "caches" / golden)
    for part in theirs.plan.parts():
        both = ours.map_part(part), theirs.map_part(part)
        assert np.array_equal(*(mapped["view_digest"].whole() for mapped in both))
        for codec in theirs.plan.codecs().values():
            close(*(codec.decode({f.name: mapped[f.name].whole() for f in codec.fields()}) for mapped in both))


def close(mine: Any, other: Any) -> None:
    if isinstance(other, TopK):
        mine, other = mine.probabilities(1.0), other.probabilities(1.0)
    np.testing.assert_allclose(mine, other, rtol=1e-2, atol=1e-2 * float(np.abs(other).max()))


@pytest.mark.parametrize(
    ("name", "whole"),
    [("interrupted", "hdf5"), ("interrupted-zarr", "zarr"), ("views-added", "hdf5"), ("photos-interrupted", "photos")],
)
def test_an_unfinished_cache_is_gone_on_with_from_its_plan(name, whole, goldens):
    from kdcache.build.resume import prepare_again
    from kdcache.build.run import build

    cache = goldens.cache(name)
    result = build(prepare_again(cache, replace(USUAL, data=data_of(goldens, name))), progress=Silent())
    assert result.complete
    assert result.parts_built == len(CACHES[name]["missing"])
    assert Cache.open(cache).plan.identity == CACHES[whole]["identity"]
    same_parts(cache, whole)


@pytest.mark.parametrize(("name", "whole"), [("interrupted", "hdf5"), ("photos-interrupted", "photos")])
def test_the_same_command_goes_on_with_it(name, whole, goldens):
    from kdcache.build.prepare import prepare
    from kdcache.build.run import build
    from tests.golden.small import SHAPES, VIEWS

    if name == "interrupted":
        more = {"teacher": "florence", "data": SHAPES, "signals": ("logits", "embedding"), "batch": 16, "views": 2}
        more |= {"recipe": "augment", "overrides": VIEWS}
    else:
        more = {
            "teacher": "clip",
            "size": "nano",
            "data": data_of(goldens, name),
            "signals": ("embedding",),
            "batch": 8,
        }
    cache = goldens.cache(name)
    assert build(prepare(replace(USUAL, **more), cache), progress=Silent()).complete
    same_parts(cache, whole)


def test_more_views_can_still_be_planned_and_built(goldens):
    from kdcache.build.resume import prepare_again
    from kdcache.build.run import build
    from kdcache.reshape.more_views import add_views

    cache = goldens.cache("zarr")
    assert add_views(cache, 1).identity == CACHES["zarr"]["identity"]
    assert build(prepare_again(cache, USUAL), progress=Silent()).parts_built == 3
    assert {name: digest for name, digest in parts_of(cache).items() if "v002" not in name} == CACHES["zarr"]["files"]
    assert verify(cache, VerifyOptions(replay=200), Silent()).ok


@pytest.mark.parametrize(
    ("out", "more"),
    [
        ("converted", {"backend": "zarr", "codecs": {"embedding": "int8"}}),
        ("hdf5-zstd", {"compression": "zstd:3"}),
        ("zarr-blosc", {"backend": "zarr", "compression": "blosc:5"}),
        ("zarr", {"backend": "zarr"}),
    ],
)
def test_a_cache_is_converted_to_the_same_files(out, more, goldens, tmp_path):
    from kdcache.reshape.convert import convert

    convert(goldens.cache("hdf5"), tmp_path / "out", progress=Silent(), **more)
    assert parts_of(tmp_path / "out") == CACHES[out]["files"]


def test_a_cache_is_merged_with_an_unfinished_one(goldens, tmp_path):
    from kdcache.reshape.merge import merge

    merge([goldens.cache("interrupted"), goldens.cache("hdf5")], tmp_path / "out", progress=Silent())
    assert Cache.open(tmp_path / "out").plan.identity == CACHES["hdf5"]["identity"]
    assert parts_of(tmp_path / "out") == CACHES["hdf5"]["files"]


def test_a_damaged_part_is_dropped_and_built_again(goldens):
    from kdcache.build.resume import prepare_again
    from kdcache.build.run import build
    from kdcache.check.repair import repair

    cache = goldens.cache("hdf5")
    file = cache / "parts/v001/000001.h5"
    content = bytearray(file.read_bytes())
    content[9000] ^= 1
    file.write_bytes(content)
    assert [str(part) for part in repair(cache, apply=True, progress=Silent()).parts] == ["v001/000001"]
    assert build(prepare_again(cache, USUAL), progress=Silent()).parts_built == 1
    same_parts(cache, "hdf5")


def test_imported_records_go_out_as_they_came(goldens, tmp_path):
    from kdcache.exchange import export_tinyvit
    from tests.exchange.making import read_as_they_do

    export_tinyvit(Store.open(goldens.cache("imported")), tmp_path / "out", progress=Silent())
    for epoch in range(2):
        folder = f"logits_top5_epoch{epoch}"
        assert read_as_they_do(tmp_path / "out" / folder, 5) == read_as_they_do(HERE / "their-logits" / folder, 5)


def test_the_same_records_are_imported_again(goldens, tmp_path):
    """To the same rows; and an import that was interrupted goes on to the same files."""
    from kdcache.exchange import import_tinyvit
    from kdcache.images import open_source
    from tests.exchange.making import CLIP_LIKE

    source, more = open_source("shapes:count=20,size=32"), {"classes": 100, "preprocess": CLIP_LIKE, "keys": "id"}
    import_tinyvit(HERE / "their-logits", tmp_path / "out", source, progress=Silent(), **more)
    new = {"identity", "files"}
    facts = facts_of(tmp_path / "out")
    assert {key for key in facts if facts[key] != CACHES["imported"][key]} == new
    interrupted = goldens.cache("imported")
    Store.open(interrupted).drop_part(Store.open(interrupted).plan.parts()[-1])
    import_tinyvit(HERE / "their-logits", interrupted, source, progress=Silent(), **more)
    assert facts_of(interrupted) == CACHES["imported"]


@pytest.mark.parametrize("name", ["hdf5", "plain"])
def test_logits_go_out_to_tinyvit(name, goldens, tmp_path):
    from kdcache.exchange import export_tinyvit
    from tests.exchange.making import parse_as_they_do, read_as_they_do

    store = Store.open(goldens.cache(name))
    exported = export_tinyvit(store, tmp_path / "out", k=10, views=[0], progress=Silent())
    assert exported.records == len(store.index)
    records = read_as_they_do(tmp_path / "out" / "logits_top10_epoch0", 10)
    if name == "hdf5":
        for row, ids in CACHES[name]["values"]["logits"].items():
            assert parse_as_they_do(records[store.index[int(row)]], 10)[1].tolist() == ids


def test_dense_rows_go_out_to_divedoc(goldens, tmp_path):
    import h5py

    from kdcache.exchange import export_divedoc

    path = goldens.cache("dense")
    exported = export_divedoc({"train": Store.open(path)}, tmp_path / "a.h5", signal="targets", progress=Silent())
    (batch,) = Cache.open(path).stream(24, shuffle=False, views=[0], signals=["targets"])
    with h5py.File(exported.path) as file:
        assert np.array_equal(file["train"]["teacher_features_output"], batch.decode()["targets"])


def keeps(now: Any, then: Any) -> bool:
    """Everything that was written is what is read; fields that came later may stand beside it."""
    if isinstance(then, dict):
        return then.keys() <= now.keys() and all(keeps(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(keeps, now, then))
    return bool(now == then)


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_run_is_read_as_it_was(name, goldens, tmp_path):
    """Its record, its measurements, its weights; its page is written."""
    from students.report import write_report
    from students.runs.run import Run

    run = Run.open(goldens.run(name))
    assert weights_of(run.path) == RUNS[name]
    assert keeps(run.record.plain(), json.loads((run.path / "run.json").read_text()))
    kinds = [line["kind"] for line in run.metrics()]
    stopped = name.endswith("stopped")
    assert kinds.count("train") == (2 if stopped else 4)
    assert set(kinds) - {"val"} == ({"train"} if stopped else {"train", "end"})
    warned: list[str] = []
    page = write_report(run, tmp_path / "page.html", warn=warned.append).read_text("utf-8")
    assert run.record.student.name in page
    assert warned == []


@pytest.mark.parametrize(
    ("name", "whole"), [("stopped", "whole"), ("finetuned-stopped", "finetuned"), ("dense-stopped", "dense")]
)
def test_a_stopped_training_ends_with_the_same_weights(name, whole, goldens):
    """Those it was evaluated with, those it had last, its average and its moments."""
    from students.train.start import go_on
    from tests.golden.small import CPU

    run = goldens.run(name)
    finished = go_on(run, replace(CPU, weights=weights_for(goldens, name)), Silent())
    assert finished.outcome.ended == "done"
    compare(run / "best.safetensors", whole, "best.safetensors")
    last = "checkpoints/00000007"
    for file in sorted((run / last).glob("*.safetensors")):
        compare(file, whole, f"{last}/{file.name}")


def compare(file: Path, whole: str, name: str) -> None:
    from safetensors.numpy import load_file

    wanted = HERE / "runs" / whole / name
    if SAME_MACHINE:
        assert filecmp.cmp(file, wanted, shallow=False), name
    mine, theirs = load_file(file), load_file(wanted)
    assert mine.keys() == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_allclose(mine[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


def test_a_finished_run_is_judged_as_it_was(goldens):
    from students.judging.evaluate import JudgeOptions, judge_run
    from students.runs.run import Run
    from tests.golden.small import VAL

    run = Run.open(goldens.run("whole"))
    before = json.loads((HERE / "runs/whole/evals/classify-shapes-val.json").read_text())["report"]
    report, _ = judge_run(run, JudgeOptions(VAL, device="cpu"), Silent())
    assert report.images == 20
    assert report.top1 == before["top1"]
    assert report.loss == pytest.approx(before["loss"], rel=1e-4)


def test_a_finished_run_is_exported_to_timm(goldens, tmp_path):
    import timm
    import torch

    from students.export.timm import export_timm
    from students.runs.run import Run

    run = Run.open(goldens.run("whole"))
    export_timm(run, tmp_path / "out")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    pixels = torch.linspace(-2, 2, 3 * 32 * 32).reshape(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(theirs(pixels), run.network()(pixels))


@pytest.mark.parametrize("start", [None, "whole"])
def test_a_student_is_trained_from_an_old_cache_and_from_an_old_run(start, goldens, tmp_path):
    from tests.golden.small import learn

    cache = goldens.cache("zarr")
    begun = str(goldens.run(start)) if start else None
    settings = ("precision=float32", "optimiser.warmup=0")
    run = learn(
        tmp_path / "run", student="tinyvit-golden", cache=cache, size=32, val="none", settings=settings, start=begun
    )
    assert run.metrics()[-1]["stopped"] == "done"
