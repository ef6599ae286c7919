"""A report is one page that needs nothing else, says what is known, and cannot be broken by what it shows."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kdcache.images import open_source
from kdcache.signals.teacher import Weights
from kdcache.store.plan import Dataset, ViewPlan
from students.families.registry import build_student, student_spec
from students.judging.evaluate import JudgeOptions, judge_run
from students.judging.kept import Evaluation, read_evaluations
from students.recipe import Optimiser, Recipe
from students.report import write_report
from students.report.samples import taught_samples, validation_samples
from students.runs.caches import CacheRecord
from students.runs.record import Pacing, RunRecord
from students.runs.run import Run
from tests.students.reader import Reader

EVIL = "<script>alert('x')</script>&\"fox\""
CLASSES = ("cats", EVIL)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve images in two class folders, one of which has a name that wants to be a script."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        path = folder / ("cats", "dogs")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.Generator(np.random.Philox(number)).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(noise).save(path)
    return folder


def build(photos, out):
    from cli.app import run

    words = "cache build --teacher timm:test_vit --weights random --signal logits --codec topk:7 --batch 4 --workers 0"
    assert run([*words.split(), "--device", "cpu", "--data", str(photos), "--out", str(out), "-qq"]) == 0
    return out


@pytest.fixture(scope="session")
def cache(photos, tmp_path_factory):
    """What a small teacher with random weights said about them."""
    return build(photos, tmp_path_factory.mktemp("caches") / "c")


def make_run(path, *, photos, cache=None, classes=CLASSES, metrics=(), weights=True):
    from kdcache.cache import Cache

    source = open_source(str(photos))
    data = Dataset.of(source, source.scan())
    spec = student_spec("tinyvit-5m", classes=classes, size=32)
    plan = Cache.open(cache).plan if cache else None
    record = RunRecord(
        kind="train",
        student=spec,
        recipe=Recipe(epochs=1.0, batch=4, optimiser=Optimiser(rate=0.001, decay=0.05)),
        seed=0,
        stream="off" if cache else "none",
        dataset=data,
        views=plan.views if plan else ViewPlan(recipe=spec.geometry, seed=0, count=1),
        cache=plan
        and CacheRecord(path=str(cache), identity=plan.identity, teacher=plan.teacher, signals={"logits": "topk:7"}),
        val=data,
        pacing=Pacing(
            steps=9, steps_an_epoch=3, micro=4, views=None, log_every=1, validate_every=3, keep_every=9
        ),
        versions={"kd-cache": "0"},
    )  # fmt: skip
    with Run.begun(path, record) as run:
        run.write_record()
    if weights:
        torch.manual_seed(0)
        save_file(build_student(spec).state_dict(), path / "best.safetensors")
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    return run


def train_line(step, **changes):
    usual = {"loss": 3.0, "soft": 3.0, "hard": None, "rate": 1e-3, "images": step * 4, "seconds": step / 2}
    rest = {"kind": "train", "step": step, "epoch": step / 3, "grad": 1.0, "images_per_second": 8.0, "waiting": 0.01}
    return usual | rest | {"teacher": 0.0} | changes


def val_line(step, top1):
    return {"kind": "val", "step": step, "epoch": step / 3, "top1": top1, "top5": 1.0, "loss": 0.7, "images": 12,
            "seconds": 1.0, "best": True}  # fmt: skip


MEASURED = [train_line(1), train_line(2), val_line(2, 0.25), train_line(3), val_line(3, 0.5)]


@pytest.fixture
def full(tmp_path, photos, cache):
    """A run with everything: 1000 teacher classes, whose student is judged on the images of two."""
    names = ("cats", "dogs", EVIL, *(f"thing {n}" for n in range(997)))
    return make_run(tmp_path / "run", photos=photos, cache=cache, classes=names, metrics=MEASURED)


def read(path):
    return Reader(path.read_text("utf-8"))


def test_a_page_is_whole_and_needs_nothing_else(full):
    judge_run(full, JudgeOptions(batch=4), progress())
    path = write_report(full, samples=3)
    page = read(path)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not page.names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    text = path.read_text("utf-8")
    assert "http" not in text.lower()
    assert "@import" not in text
    assert "url(" not in text
    assert "prefers-color-scheme:dark" in text
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [a for _, a in page.seen]


def test_a_page_says_what_was_measured_and_where_it_comes_from(full, cache):
    words = read(write_report(full, samples=3)).words
    record = full.record
    for fact in (
        "best top-1, step 3", "50.0%", "RANDOM WEIGHTS", record.cache.identity, record.cache.teacher.weights.sha256,
        record.dataset.fingerprint, "timm test_vit", "Validation top-1 top-5", "Learning rate", "Time spent waiting",
        "kd eval run", "12 of photos", "kd-cache 0",
    ):  # fmt: skip
        assert fact.replace("photos", record.dataset.name) in words, fact


def test_a_teacher_that_was_trained_has_no_stamp(full):
    teacher = full.record.cache.teacher
    trained = teacher.model_copy(update={"weights": Weights(source="file:w.pt", sha256="0" * 64)})
    cache = full.record.cache.model_copy(update={"teacher": trained})
    words = read(write_report(Run(full.path, full.record.model_copy(update={"cache": cache})), samples=2)).words
    assert "file:w.pt, sha256 000" in words
    assert "RANDOM WEIGHTS" not in words


def test_a_run_without_a_cache_says_so(tmp_path, photos):
    words = read(write_report(make_run(tmp_path / "run", photos=photos, classes=("cats", "dogs")), samples=2)).words
    assert "The run was trained without a cache" in words


def test_names_cannot_become_markup(tmp_path, photos):
    run = make_run(tmp_path / EVIL.replace("/", "|"), photos=photos, classes=("cats", "dogs", EVIL))
    judge_run(run, JudgeOptions(batch=4), progress())
    path = write_report(run)
    page = read(path)
    assert "script" not in page.names
    assert EVIL in page.words
    assert "<script" not in path.read_text("utf-8")


def progress():
    from kdcache.base.progress import Silent

    return Silent()


class TestSamples:
    def test_the_teacher_is_quoted_from_the_cache_and_never_loaded(self, full, cache):
        from kdcache.cache import Cache

        found = taught_samples(full, full.network(), 4)
        assert found.notes == []
        assert len(found.images) == 4
        opened = Cache.open(cache)
        for sample in found.images:
            entry = opened.get(sample.image_id)["logits"]
            assert [guess.probability for guess in sample.teacher] == np.exp(entry.logp[0, :5]).tolist()
            assert [guess.name for guess in sample.teacher] == [
                full.record.student.classes[i] for i in entry.ids[0, :5]
            ]
            assert sample.truth == sample.image_id.partition("/")[0]

    def test_no_teacher_is_imported(self, full):
        script = (
            "import sys; from pathlib import Path; from students.runs.run import Run; from students.report import write_report\n"
            "write_report(Run.open(Path(sys.argv[1])), samples=2)\n"
            "print([name for name in sys.modules if name.startswith(('kdcache.teachers.', 'transformers'))])"
        )
        ran = subprocess.run([sys.executable, "-c", script, full.path], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "[]"

    def test_an_image_that_changed_is_not_shown_beside_what_was_said_about_another(self, tmp_path, photos):
        pictures = shutil.copytree(photos, tmp_path / "photos")
        own = build(pictures, tmp_path / "cache")
        shutil.copy(pictures / "cats" / "0.png", pictures / "cats" / "2.png")
        run = make_run(tmp_path / "run", photos=pictures, cache=own, classes=tuple(f"thing {n}" for n in range(1000)))
        found = taught_samples(run, run.network(), 99)
        assert found.notes == ["cats/2.png was drawn as a sample, but has changed since the teacher saw it."]
        assert len(found.images) == 11
        assert "cats/2.png" not in [sample.image_id for sample in found.images]

    def test_what_is_gone_becomes_a_note(self, tmp_path, photos, cache):
        copy = shutil.copytree(cache, tmp_path / "cache")
        pictures = shutil.copytree(photos, tmp_path / "photos")
        run = make_run(tmp_path / "run", photos=pictures, cache=copy, classes=("cats", "dogs"))
        shutil.rmtree(copy)
        shutil.rmtree(pictures)
        network = run.network()
        (note,) = taught_samples(run, network, 2).missing
        assert note.startswith("The teacher's predictions cannot be shown")
        (note,) = validation_samples(run, network, 2).missing
        assert note.startswith("Validation images cannot be shown")
        warned = []
        assert "cannot be shown" in read(write_report(run, warn=warned.append)).words
        assert len(warned) == 2

    def test_another_cache_at_the_same_place_is_not_quoted(self, full):
        other = full.record.cache.model_copy(update={"identity": "0" * 32})
        run = Run(full.path, full.record.model_copy(update={"cache": other}))
        (note,) = taught_samples(run, run.network(), 2).missing
        assert "the run was trained from 00000000" in note

    def test_validation_samples_are_what_the_student_says(self, full):
        found = validation_samples(full, full.network(), 5)
        assert len(found.images) == 5
        for sample in found.images:
            assert sample.truth == sample.image_id.partition("/")[0]
            chances = [guess.probability for guess in sample.student]
            assert chances == sorted(chances, reverse=True)
            assert 0 < sum(chances) <= 1
        again = validation_samples(full, full.network(), 5)
        assert [s.image_id for s in again.images] == [s.image_id for s in found.images]


def test_a_run_that_only_began_has_a_page_too(tmp_path, photos):
    run = make_run(tmp_path / "run", photos=photos, classes=("cats", "dogs"), weights=False)
    words = read(write_report(run)).words
    assert "Nothing has been measured yet" in words
    assert "The run has no weights yet" in words


def test_an_evaluation_of_earlier_weights_is_marked(tmp_path, photos):
    run = make_run(tmp_path / "run", photos=photos, classes=("cats", "dogs"))
    report, path = judge_run(run, JudgeOptions(batch=4), progress())
    assert path.parent == run.path / "evals"
    assert read_evaluations(run) == {
        path.stem: Evaluation(weights_sha256=next(iter(read_evaluations(run).values())).weights_sha256, report=report)
    }
    assert "judged with earlier weights" not in read(write_report(run)).words
    changed = run.network()
    changed.head.fc.bias.data += 1
    save_file(changed.state_dict(), run.path / "best.safetensors")
    assert "judged with earlier weights" in read(write_report(run)).words


def test_one_of_a_thing_is_told_as_one(tmp_path, photos):
    run = make_run(tmp_path / "run", photos=photos, classes=("cats", "dogs"), metrics=[train_line(1)])
    assert "step, 0.333 epochs" in read(write_report(run)).words


def test_embeddings_are_on_the_page(tmp_path):
    from students.judging.embeddings import Reading
    from students.judging.features import Compared
    from students.report.evaluations import evaluation_section
    from students.tasks.knn import KnnReport
    from students.tasks.retrieve import Retrieval, Retrieved, RetrieveReport

    about = Compared(
        data="birds",
        fingerprint="1",
        bank="<more> birds",
        bank_fingerprint="2",
        images=40,
        bank_images=90,
        unlabelled=0,
        rejected={},
    )
    way = Retrieved(queries=40, top1=0.25, interval=(0.14, 0.4), top3=0.5, top3_all=0.125)
    ran = {"about": about, "precision": "float32", "device": "cpu", "seconds": 1.0}
    found = {
        "retrieve": RetrieveReport(marks=Retrieval(found=way, inverse=way.model_copy(update={"top1": 0.3})), **ran),
        "knn": KnnReport(marks=Reading(top1=0.4, interval=(0.2, 0.5)), seed=0, **ran),
    }
    page = evaluation_section({name: Evaluation(weights_sha256="w", report=r) for name, r in found.items()}, "w", "run")
    for fact in ("25.00%", "30.00%", "50.00%", "40.00%", "knn: birds", "&lt;more&gt; birds"):
        assert fact in page, fact


def test_only_a_first_guess_is_right_and_a_picture_is_whole(tmp_path, photos):
    """A true class further down the list is no success; the sides of a picture keep their ratio."""
    from students.report.pictures import sample_cards
    from students.report.samples import Guess, Sample, Samples

    pixels = np.zeros((30, 90, 3), np.uint8)
    wrong = Sample("a.png", "cats", pixels, [Guess("dogs", 0.6), Guess("cats", 0.4)], [Guess("cats", 0.9)])
    page = sample_cards(Samples(images=[wrong]))
    student, teacher = page.index(">student<"), page.index(">teacher<")
    assert page.index("\u2713 right", teacher) < student, "the teacher stands first, and is right"
    assert "\u2717 wrong" in page[student:]
    assert "\u2713" not in page[student:]
    assert "cats<em> the true class</em>" in page[student:]
    run = make_run(tmp_path / "run", photos=photos, classes=("cats", "dogs"))
    assert {sample.picture.shape for sample in validation_samples(run, run.network(), 3).images} == {(40, 48, 3)}


def test_names_that_turn_what_follows_them_are_written_out(tmp_path, photos):
    run = make_run(tmp_path / "run", photos=photos, classes=("cats", "dogs\u202e\x1b[2J"))
    text = write_report(run).read_text("utf-8")
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "dogs\\u202e\\x1b[2J" in text
