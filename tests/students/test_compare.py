"""Arms by name, sums that can be done by hand, the papers' own figures, and a comparison of a few steps."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcache.base.progress import Silent
from kdcache.errors import KDError, Locked, UsageError
from students.compare.result.papers import divedoc_differences, tinyvit_saving
from students.compare.result.project import project_text, projected
from students.compare.result.sums import Joules, Spread, Workload, bill, break_even

JOB = Workload(images=1000, epochs=10.0, students=2, views=3, gpus=2, price=6.0)


def test_the_papers_own_figures_give_the_papers_own_results():
    assert f"{tinyvit_saving():.1%}" == "29.8%"
    assert divedoc_differences() == {"hours saved": 4.0, "MiB saved": 3700.0, "GB more": 180.0}


def exactly(value):
    return Spread(mean=value, half=0.0)


def test_a_bill_is_what_a_pencil_makes_of_it():
    """3 views of 1,000 images at 0.6 s, 2 students of 10 epochs of 1,000 images at 0.36 s, on 2 devices."""
    found = bill(JOB, exactly(0.36), exactly(0.6))
    assert (found.build_hours.mean, found.train_hours.mean) == pytest.approx((0.25, 1.0))
    assert found.hours.mean == pytest.approx(1.25)
    assert found.device_days.mean == pytest.approx(2.5 / 24)
    assert found.money.mean == pytest.approx(15.0), "every device is paid for"


def test_a_bill_is_as_sure_as_what_was_measured():
    """20,000 images at 0.36 ± 0.036 s and 3,000 at 0.6 ± 0.12 s: hours of two devices, errors added as squares."""
    found = bill(JOB, Spread(mean=0.36, half=0.036), Spread(mean=0.6, half=0.12))
    assert (found.train_hours.half, found.build_hours.half) == pytest.approx((0.1, 0.05))
    assert found.hours.half == pytest.approx((0.1**2 + 0.05**2) ** 0.5)
    assert bill(JOB, Spread(mean=0.36, half=None), exactly(0.6)).hours.half is None, "one repeat has no interval"


def test_energy_is_the_watts_of_every_device_hour_unless_it_was_measured():
    """2.5 device-hours at 400 W; 3,000 views of 60 J and 20,000 images of 36 J are 900 kJ."""
    job = JOB.model_copy(update={"watts": 400.0})
    assert bill(JOB, exactly(0.36), exactly(0.6)).energy is None
    assert bill(job, exactly(0.36), exactly(0.6)).energy.mean == pytest.approx(1.0)
    measured = Joules(image=exactly(36.0), built=exactly(60.0))
    assert bill(job, exactly(0.36), exactly(0.6), measured).energy.mean == pytest.approx(0.25)


jobs = st.builds(
    Workload,
    images=st.integers(1, 10**9),
    epochs=st.floats(0.01, 10**6),
    students=st.integers(1, 100),
    views=st.integers(1, 1000),
    gpus=st.integers(1, 64),
    price=st.none() | st.floats(0.01, 1e6),
    watts=st.none() | st.floats(0.01, 1e6),
)


@given(jobs, jobs)
def test_the_text_of_a_project_gives_the_job_again(job, other):
    other = other.model_copy(update={"gpus": 1, "price": None, "watts": None})
    assert projected(project_text(job), other) == job


@given(jobs, st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_energy_and_money_are_those_of_the_device_hours(job, image, built):
    found = bill(job, exactly(image), exactly(built))
    hours = found.hours.mean * job.gpus
    assert (found.money is None, found.energy is None) == (job.price is None, job.watts is None)
    if found.money is not None:
        assert found.money.mean == pytest.approx(hours * job.price)
    if found.energy is not None:
        assert found.energy.mean == pytest.approx(hours * job.watts / 1000)


def test_break_even_is_where_both_ways_cost_the_same():
    found = break_even(JOB, Spread(mean=0.14, half=0.07), exactly(0.6))
    one = JOB.model_copy(update={"students": 1, "epochs": found.epochs})
    assert bill(one, exactly(0.5), exactly(0.0)).hours.mean == pytest.approx(
        bill(one, exactly(0.36), exactly(0.6)).hours.mean
    )
    assert found.students == pytest.approx(found.epochs / 10)
    assert (found.low, found.high) == pytest.approx((3 * 0.6 / 0.21, 3 * 0.6 / 0.07))


def test_a_cache_that_is_no_faster_never_pays():
    assert break_even(JOB, Spread(mean=0.0, half=0.1), exactly(0.6)) is None
    assert break_even(JOB, Spread(mean=0.1, half=0.2), exactly(0.6)).high is None, "perhaps never"


def test_an_interval_is_students_t():
    found = Spread.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert Spread.of([1.0]).half is None


def test_a_project_changes_what_it_names():
    found = projected("n_images=14.2M epochs=90, gpus=8", JOB)
    assert (found.images, found.epochs, found.gpus, found.views) == (14_200_000, 90.0, 8, 3)


@pytest.mark.parametrize(
    "text",
    [
        "images=3",
        "epochs",
        "epochs=many",
        "gpus=0",
        "gpus=0.3",
        "n_images=0.4",
        "views=1.5",
        "epochs=inf",
        "n_images=14.2kM",
    ],
)
def test_a_project_nobody_understands_is_refused(text):
    with pytest.raises(UsageError):
        projected(text, JOB)


def test_arms_have_names():
    from students.compare.arms import arms_of

    on, off, few, hard, alone = arms_of(("on-stream", "off-stream", "off-stream:k=10", "hard-labels", "no-teacher"))
    assert [arm.teacher for arm in (on, off, few, hard, alone)] == ["connected", "stored", "stored", "none", "none"]
    assert (few.codec, off.codec) == ("topk:10", None)
    assert (hard.stream, alone.stream) == ("off", "none")


def test_an_arm_may_have_a_cache_of_its_own():
    from students.compare.arms import arm_of

    both = arm_of("off-stream:codec=int8,only=targets")
    assert (both.codec, both.only, both.teacher) == ("int8", ("targets",), "stored")
    assert arm_of("off-stream:only=inputs,only=targets").only == ("inputs", "targets")


@pytest.mark.parametrize(
    "names",
    [
        ("on-stream",),
        ("on-stream", "on-stream"),
        ("upstream", "off-stream"),
        ("on-stream:k=1", "off-stream"),
        ("off-stream:k=x", "on-stream"),
        ("off-stream:codec=int8,", "on-stream"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(names):
    from students.compare.arms import arms_of

    with pytest.raises(UsageError):
        arms_of(names)


def test_both_ways_come_to_the_same_student(tmp_path):
    """Every logit kept, float32: the same losses and weights; the process of the off-stream arm has no teacher in it."""
    from kdcache.base.folder_lock import locked_folder
    from kdcache.build.options import BuildOptions
    from kdcache.config.presets import load_preset
    from students.compare.options import CompareOptions
    from students.compare.result.verdict import verdict
    from students.compare.run import compare
    from students.recipe import Recipe

    build = BuildOptions(
        teacher="florence",
        size="nano",
        data="shapes:count=48,size=32",
        codecs={"logits": "full"},
        batch=16,
        workers=0,
        devices=("cpu",),
    )
    options = CompareOptions(
        ("on-stream", "off-stream", "off-stream:k=5"),
        build,
        settings=("precision=float32",),
        size=32,
        batch=8,
        steps=3,
        repeat=1,
        val="none",
        device="cpu",
        out=tmp_path / "out",
    )
    watched = Watching()
    found, out = compare(options, watched)
    judged = verdict(found)
    for arm in options.arms:
        assert (f"{arm} 1/1", 3 * 8) in watched.stages, "each arm has a bar of its own"
    assert "on-stream and off-stream end with identical weights" in judged.sentences
    assert not any("off-stream:k=5 end with identical" in sentence for sentence in judged.sentences)
    measured = {name: each[0] for name, each in found.measured.items()}
    assert measured["on-stream"].imported_teacher
    assert not measured["off-stream"].imported_teacher
    assert measured["on-stream"].stages["teacher"] > 0 == measured["off-stream"].stages["teacher"]
    assert found.built["topk:5"].bytes < found.built["base"].bytes
    assert found.built["base"].row_bytes == 100 * 4 + 4 + 1, "logits, a digest of the view, and whether it is valid"
    assert (out / "compare.json").is_file()
    (out / "compare.json").unlink()
    again, _ = compare(options, Silent())
    assert again.measured == found.measured, "what was measured is not measured again"
    assert compare(options, Silent())[0] == again, "nor is a finished one done again"
    assert again.job.epochs == again.recipe_epochs == load_preset("recipes", "demo", Recipe).epochs
    other, _ = compare(replace(options, epochs=7.0, project="n_images=1k students=3", price=2.0), Silent())
    assert other.measured == found.measured, "another job needs no other measurements"
    assert (other.job.epochs, other.project.images, other.project.students) == (7.0, 1000, 3)
    with pytest.raises(UsageError, match="was started with steps 3, now 4"):
        compare(replace(options, steps=4), Silent())
    with locked_folder(out, "compared"), pytest.raises(Locked, match="is being compared by another process"):
        compare(options, Silent())


class Watching(Silent):
    """Notes the stages that were shown."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []

    def start(self, stage, total, done=0):
        self.stages.append((stage, total))


def settled(student, *arms, **build):
    """What a comparison of this student would do."""
    from kdcache.build.options import BuildOptions
    from students.compare.arms import arms_of
    from students.compare.choices import check_arms, settle
    from students.compare.options import CompareOptions

    options, recipe = settle(CompareOptions(arms, BuildOptions("", **build), student=student))
    check_arms(arms_of(arms), student, recipe, options.build.kept)
    return options


def test_what_was_left_open_fits_the_student():
    labels, dense = (
        settled("tinyvit-5m", "on-stream", "off-stream"),
        settled("data2vec-nano", "on-stream", "off-stream"),
    )
    assert (labels.build.teacher, labels.recipe, labels.build.kept) == ("florence", "demo", ("logits",))
    assert (dense.build.teacher, dense.recipe, dense.build.kept) == ("data2vec", "data2vec-nano", ("inputs", "targets"))


@pytest.mark.parametrize(
    ("student", "arm", "build", "why"),
    [
        ("data2vec-nano", "hard-labels", {}, "cannot be trained without a teacher's targets"),
        (
            "data2vec-nano",
            "off-stream:k=5",
            {},
            "top-k codecs are for class distributions, and the recipe learns from targets",
        ),
        ("data2vec-nano", "off-stream:only=inputs", {}, "the recipe needs targets"),
        ("data2vec-nano", "off-stream", {"signals": ("inputs",)}, "leaves out targets"),
        ("tinyvit-5m", "off-stream:only=targets", {}, "the cache will keep logits, but not targets"),
    ],
)
def test_ways_a_student_cannot_go_are_refused_before_anything_is_built(student, arm, build, why):
    with pytest.raises(KDError, match=why):
        settled(student, "on-stream", arm, **build)


@pytest.mark.slow
def test_dense_targets_are_matched_alike_from_pixels_from_inputs_and_from_the_teacher(tmp_path):
    """Pixels and cached targets, cached inputs and targets, a connected teacher: the same weights; fewer signals, fewer bytes."""
    from kdcache.base.progress import Silent
    from kdcache.build.options import BuildOptions
    from students.compare.options import CompareOptions
    from students.compare.result.verdict import verdict
    from students.compare.run import compare

    exact = {"inputs": "float32", "targets": "float32"}
    build = BuildOptions(
        "", data="shapes:count=32", codecs=exact, views=2, batch=16, part_rows=16, workers=0, devices=("cpu",)
    )
    asked = CompareOptions(
        ("on-stream", "off-stream", "off-stream:only=targets"), build, student="data2vec-nano", batch=8, steps=2,
        repeat=1, val="none", device="cpu", out=tmp_path / "out",
    )  # fmt: skip
    found, _ = compare(asked, Silent())
    judged = verdict(found)
    assert "on-stream and off-stream end with identical weights" in judged.sentences
    assert "on-stream and off-stream:only=targets end with identical weights" in judged.sentences
    assert found.metric == "retrieval"
    loaded = {name: each[0].imported_teacher for name, each in found.measured.items()}
    assert loaded == {"on-stream": True, "off-stream": False, "off-stream:only=targets": False}
    assert found.built["only targets"].signals == {"targets": "float32"}
    assert found.built["only targets"].row_bytes < 0.51 * found.built["base"].row_bytes


def test_a_recipe_that_was_edited_begins_another_comparison(tmp_path):
    """What counts is what a file says, not what it is called."""
    from kdcache.build.options import BuildOptions
    from kdcache.config.presets import load_preset
    from students.compare.amount import Amount
    from students.compare.options import CompareOptions
    from students.compare.run import BEGUN, Begun, _begun, _fixed
    from students.recipe import Recipe

    options = CompareOptions(("on-stream", "off-stream"), BuildOptions("florence"), recipe="mine.yaml")
    recipe = load_preset("recipes", "demo", Recipe)
    asked = _fixed(options, recipe, tmp_path, {})
    much = Amount(data="shapes", images=9, whole=9, bytes=None, batch=3)
    (tmp_path / BEGUN).write_text(json.dumps(Begun(asked=asked, amount=much).plain()))
    assert _begun(tmp_path, asked) == much
    edited = _fixed(options, recipe.model_copy(update={"batch": 5}), tmp_path, {})
    with pytest.raises(UsageError, match="was started with recipe"):
        _begun(tmp_path, edited)


@pytest.mark.parametrize("job", [{"epochs": 0.0}, {"epochs": -3.0}, {"price": -1.0}, {"watts": -1.0}, {"students": 0}])
def test_a_job_that_cannot_be_is_refused_before_anything_is_measured(tmp_path, job):
    from kdcache.base.progress import Silent
    from kdcache.build.options import BuildOptions
    from students.compare.options import CompareOptions
    from students.compare.run import compare

    options = CompareOptions(("on-stream", "off-stream"), BuildOptions("florence"), out=tmp_path / "out", **job)
    with pytest.raises(UsageError, match="not a possible job"):
        compare(options, Silent())
    assert not (tmp_path / "out").exists()
