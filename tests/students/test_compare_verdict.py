"""What a comparison says: yes, no, perhaps or undecided, and how sure it is."""

import pytest

from kdcache.base.machine import default_batch
from students.compare.arms import arms_of
from students.compare.result.sums import Spread, student_t
from students.compare.result.verdict import verdict
from tests.students.comparisons import comparison, measured


def sentences(found):
    return " | ".join(verdict(found).sentences)


def with_steps(on, off, **asked):
    """A comparison with these seconds a step, repeat by repeat."""
    arms = arms_of(("on-stream", "off-stream"))
    each = {
        arm.name: tuple(
            measured(arm, n).model_copy(update={"step_seconds": seconds}) for n, seconds in enumerate(steps)
        )
        for arm, steps in zip(arms, (on, off), strict=True)
    }
    return comparison(measured=each, **asked)


def test_the_answer_comes_first_and_is_plain():
    assert verdict(comparison()).sentences[0].startswith("yes: off-stream pays after ")
    assert verdict(comparison(slow={"off-stream": 0.6})).sentences[0].startswith("no: off-stream does not pay")


def test_one_repeat_is_called_so():
    assert verdict(comparison(repeat=1)).sentences[0].startswith("measured once, yes: off-stream pays after ")
    assert verdict(comparison(repeat=1, slow={"off-stream": 0.6})).sentences[0].startswith("measured once, no: ")


def test_what_is_saved_has_an_interval_from_repeats_that_ran_side_by_side():
    """Steps twice as slow on both sides cost and save in proportion, so a slow repeat makes nothing unsure."""
    found = with_steps([0.5, 1.0, 0.5], [0.3, 0.6, 0.3], build=0.0)
    saves = verdict(found).rows[1].saves
    assert saves.mean == pytest.approx(0.4)
    assert saves.half == pytest.approx(0.0, abs=1e-9)
    assert verdict(with_steps([0.5, 0.52, 0.5], [0.3, 0.2, 0.4])).rows[1].saves.half > 0.3


def test_noise_is_no_verdict():
    """One repeat disturbed: slower from the cache in the mean, and nobody can tell."""
    found = with_steps([0.5, 0.5, 0.5], [0.3, 0.3, 2.0])
    first, words = verdict(found).sentences[0], sentences(found)
    assert first.startswith("undecided: off-stream")
    assert "the step times of off-stream differ a lot from repeat to repeat: was the machine busy" in words
    assert "too small" not in words


def test_a_quiet_machine_is_not_suspected():
    assert "was the machine busy" not in sentences(comparison())


def test_images_a_second_are_those_of_the_mean_step():
    rows = verdict(with_steps([0.1, 0.1, 1.0], [0.2, 0.2, 0.2])).rows
    assert rows[0].images_per_second.mean == pytest.approx(10 / 0.4)
    assert rows[0].images_per_second.half == pytest.approx(10 / 0.4 * rows[0].step_seconds.half / 0.4)


def test_without_a_connected_teacher_the_first_way_is_the_measure():
    words = sentences(comparison(("off-stream", "hard-labels")))
    assert "hard-labels minus off-stream: +0 ± 0 points of top-1" in words
    assert "no arm had a connected teacher" in words


def test_why_there_is_no_score_is_told():
    assert "top-1 is n/a: no --val" in sentences(comparison(unjudged="no --val"))


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (9, 2.262), (10, 2.228), (20, 2.086), (120, 1.980)])
def test_intervals_are_students_for_any_number_of_repeats(freedom, quantile):
    assert student_t(freedom) == pytest.approx(quantile, abs=1e-3)


def test_a_rate_is_as_sure_as_the_time_it_is_made_of():
    assert Spread(mean=0.5, half=0.05).turned(10) == Spread(mean=20.0, half=2.0)


@pytest.mark.parametrize(("step", "batch"), [(8, 8), (33, 33), (64, 64), (65, 33), (127, 64), (128, 64), (None, 64)])
def test_a_connected_teacher_is_shown_as_little_padding_as_can_be(step, batch):
    assert default_batch((224, 224), "cpu", step) == batch
