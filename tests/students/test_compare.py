"""Arms by name, sums that can be done by hand, the papers' own figures, and a comparison of a few steps."""

import pytest

from kdcache.errors import UsageError
from students.compare.sums import (
    Job,
    Spread,
    bill,
    break_even_epochs,
    break_even_students,
    divedoc_differences,
    projected,
    tinyvit_saving,
)

JOB = Job(images=1000, epochs=10.0, students=2, views=3, gpus=2, price=6.0)


def test_the_papers_own_figures_give_the_papers_own_results():
    assert f"{tinyvit_saving():.1%}" == "29.8%"
    assert divedoc_differences() == {"hours saved": 4.0, "MiB saved": 3700.0, "GB more": 180.0}


def test_a_bill_is_what_a_pencil_makes_of_it():
    """3 views of 1,000 images at 0.6 s, 2 students of 10 epochs of 1,000 images at 0.36 s, on 2 devices."""
    found = bill(JOB, 0.36, 0.6)
    assert (found.build_hours, found.train_hours) == pytest.approx((0.25, 1.0))
    assert found.hours == pytest.approx(1.25)
    assert found.money == pytest.approx(15.0), "every device is paid for"


def test_break_even_is_where_both_ways_cost_the_same():
    epochs = break_even_epochs(JOB, on=0.5, off=0.36, build=0.6)
    assert epochs is not None
    one = JOB.model_copy(update={"students": 1, "epochs": epochs})
    assert bill(one, 0.5, 0.0).hours == pytest.approx(bill(one, 0.36, 0.6).hours)
    students = break_even_students(JOB, on=0.5, off=0.36, build=0.6)
    assert students == pytest.approx(epochs / 10)


def test_a_cache_that_is_no_faster_never_pays():
    assert break_even_epochs(JOB, on=0.3, off=0.3, build=0.6) is None


def test_an_interval_is_students_t():
    found = Spread.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert Spread.of([1.0]).half is None


def test_a_project_changes_what_it_names():
    found = projected("n_images=14.2M epochs=90, gpus=8", JOB)
    assert (found.images, found.epochs, found.gpus, found.views) == (14_200_000, 90.0, 8, 3)


@pytest.mark.parametrize("text", ["images=3", "epochs", "epochs=many", "gpus=0"])
def test_a_project_nobody_understands_is_refused(text):
    with pytest.raises(UsageError):
        projected(text, JOB)


def test_arms_have_names():
    from students.compare.arms import arms_of

    on, off, few, hard, alone = arms_of(("on-stream", "off-stream", "off-stream:k=10", "hard-labels", "no-teacher"))
    assert [arm.teacher for arm in (on, off, few, hard, alone)] == ["connected", "stored", "stored", "none", "none"]
    assert (few.codec, off.codec) == ("topk:10", None)
    assert (hard.stream, alone.stream) == ("off", "none")


@pytest.mark.parametrize(
    "names",
    [
        ("on-stream",),
        ("on-stream", "on-stream"),
        ("upstream", "off-stream"),
        ("on-stream:k=1", "off-stream"),
        ("off-stream:k=x", "on-stream"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(names):
    from students.compare.arms import arms_of

    with pytest.raises(UsageError):
        arms_of(names)


def test_both_ways_come_to_the_same_student(tmp_path):
    """Every logit kept, float32: the same losses and weights; the process of the off-stream arm has no teacher in it."""
    pytest.importorskip("torch")
    from kdcache.options import BuildOptions
    from kdcache.progress import Silent
    from students.compare.run import CompareOptions, compare
    from students.compare.verdict import verdict

    build = BuildOptions(
        teacher="florence",
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
    found, out = compare(options, Silent())
    judged = verdict(found)
    assert "on-stream and off-stream end with identical weights, in all 1 repeats" in judged.sentences
    assert not any("off-stream:k=5 end with identical" in sentence for sentence in judged.sentences)
    measured = {name: each[0] for name, each in found.measured.items()}
    assert measured["on-stream"].imported_teacher
    assert not measured["off-stream"].imported_teacher
    assert measured["on-stream"].stages["teacher"] > 0 == measured["off-stream"].stages["teacher"]
    assert found.built["topk:5"].bytes < found.built["full"].bytes
    assert (out / "compare.json").is_file()
    with pytest.raises(UsageError, match="holds a comparison already"):
        compare(options, Silent())
