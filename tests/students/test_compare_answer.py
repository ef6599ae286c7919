"""The answer in sentences: what a manager reads first, how sure it is, what it costs, and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from students.compare.result.answer import MOST_REPEATS, decide, repeats_needed
from students.compare.result.project import projected
from students.compare.result.sums import Spread
from students.compare.result.verdict import verdict
from students.compare.result.words import between, both_times, less
from tests.students.comparisons import JOB, comparison
from tests.students.test_compare_verdict import with_steps


def answer(found):
    return verdict(found).answer


def test_yes_says_how_long_how_much_less_and_when_it_has_paid():
    """1,000 images of 10 epochs: 51 ms connected, 30.6 ms from the cache and 80 ms to build: 510 s and 386 s."""
    found = answer(comparison(recipe_epochs=10.0))
    assert found.decision == "yes"
    assert found.sentence == (
        "Yes: training tinyvit-5m for the recipe's 10 epochs from the cache takes 6.4 minutes instead of 8.5 with the teacher "
        "connected, 24 % less; the cache has paid for itself after 3.9 of 10 epochs."
    )
    assert found.certainty == "Measured 3 times: between 24 % and 25 % less, with 95 % confidence."
    assert found.advice == ""


def test_epochs_that_are_not_the_recipes_are_not_called_so():
    assert "for 10 epochs from" in answer(comparison(recipe_epochs=6.0)).sentence


def test_several_students_share_a_cache():
    found = answer(comparison(job=JOB.model_copy(update={"students": 3})))
    assert "training 3 students (tinyvit-5m) for 10 epochs" in found.sentence
    assert found.sentence.endswith("the cache has paid for itself after 0.39 of 3 students.")


def test_no_says_what_the_teacher_costs():
    found = answer(comparison(slow={"off-stream": 0.6}))
    assert found.decision == "no"
    assert found.sentence.startswith(
        "No: training tinyvit-5m for 10 epochs from the cache takes 12 minutes instead of 8.5"
    )
    assert found.sentence.endswith("36 % more; of a step with the teacher connected, the teacher takes 39 %.")
    assert found.certainty == "Measured 3 times: between 35 % and 36 % more, with 95 % confidence."
    assert found.advice.startswith("Keep the teacher connected (kd train --stream on)")


def test_no_for_few_epochs_says_from_when_it_pays():
    found = answer(comparison(job=JOB.model_copy(update={"epochs": 2.0})))
    assert found.decision == "no"
    assert found.sentence.endswith("the cache has paid for itself only after 3.9 epochs, and these are 2.")
    assert found.advice == "A cache pays from 4 epochs (--epochs 4) or 2 students (--students 2) on."
    paying = answer(comparison(job=JOB.model_copy(update={"epochs": 4.0}), repeat=1, build=0.08))
    assert paying.decision in ("yes", "no")


def test_perhaps_says_how_to_be_sure():
    found = answer(with_steps([0.5, 0.5, 0.5], [0.3, 0.3, 0.6], build=0.0))
    assert found.decision == "perhaps"
    assert found.sentence.startswith("Perhaps: as measured, training")
    assert "20 % less, but the measurements differ too much to be sure." in found.sentence
    assert found.certainty == "Measured 3 times: between 66 % more and 106 % less, with 95 % confidence."
    assert found.advice == "To be sure, measure more often: the same command with --repeat 50 keeps what was measured."


def test_undecided_says_how_to_be_sure():
    found = answer(with_steps([0.5, 0.5, 0.5], [0.3, 0.3, 2.0]))
    assert found.decision == "undecided"
    assert found.sentence.startswith("Undecided: as measured, training")
    assert "more, but the measurements differ too much to be sure." in found.sentence
    assert "--repeat" in found.advice


def test_measured_once_is_said():
    found = answer(comparison(repeat=1))
    assert found.certainty == "Measured once: only more repeats can tell how sure this is."
    assert found.advice == "The same command with --repeat 5 keeps what was measured."


def test_of_several_caches_the_best_is_judged_and_named():
    found = answer(comparison(("on-stream", "off-stream", "off-stream:k=3"), slow={"off-stream:k=3": 0.2}))
    assert found.arm == "off-stream:k=3"
    assert "from the cache of off-stream:k=3 takes" in found.sentence


@pytest.mark.parametrize(("arm", "add"), [("off-stream", "on-stream"), ("on-stream", "off-stream")])
def test_without_both_ways_there_is_no_answer(arm, add):
    found = answer(comparison((arm, "hard-labels")))
    assert found.decision is None
    assert found.sentence.endswith(f"add {add}.")


def test_money_and_energy_are_named_where_they_are_known():
    """510 s and 386 s at 36 for an hour and at 1,000 W."""
    job = JOB.model_copy(update={"price": 36.0, "watts": 1000.0})
    assert answer(comparison()).costs == ()
    money, energy = answer(comparison(job=job)).costs
    assert money == "At 36 for an hour of a device it costs 3.86 instead of 5.1, 1.24 less."
    assert energy == "At 1000 watts a device it takes 0.107 kWh instead of 0.142 kWh, 0.0344 kWh less."


def test_energy_that_was_counted_goes_before_watts():
    """30 J a step of 10 images: 3 J an image, 30 kJ in all; the build at the power of a step, 30 J in 0.51 s."""
    job = JOB.model_copy(update={"watts": 1000.0})
    row = verdict(comparison(job=job, device=True)).rows[1]
    assert row.bill.energy.mean == pytest.approx((30_000 + 1000 * 0.08 * 30 / 0.51) / 3.6e6)
    (energy,) = answer(comparison(job=job, device=True)).costs
    assert energy.startswith("By the counter of the accelerator it takes")


def test_the_job_is_printed_as_a_project_that_gives_it_again():
    found = answer(comparison(job=JOB.model_copy(update={"price": 2.5, "epochs": 0.1})))
    assert found.project == "n_images=1000 epochs=0.1 views=1 students=1 price=2.5"
    assert projected(found.project, JOB) == JOB.model_copy(update={"price": 2.5, "epochs": 0.1})
    assert f'--project "{found.project}"' in found.sentences[-1]


@given(st.floats(-3, 1), st.none() | st.floats(0, 3))
def test_a_decision_is_firm_only_if_the_whole_interval_is_on_one_side(mean, half):
    found = decide(Spread(mean=mean, half=half))
    firm = not mean - (half or 0) <= 0 < mean + (half or 0)
    assert (found in ("yes", "no")) == firm
    assert (found in ("yes", "perhaps")) == (mean > 0)


@given(st.integers(2, 30), st.floats(-3, 1), st.floats(0, 3))
def test_more_repeats_are_recommended_but_not_very_many(repeats, mean, half):
    needed = repeats_needed(repeats, Spread(mean=mean, half=half))
    assert 2 * repeats <= needed <= max(2 * repeats, MOST_REPEATS)


@given(st.floats(0.5, 1e8), st.floats(0.5, 1e8))
def test_two_times_of_a_sentence_are_in_order(first, second):
    ours, theirs = both_times(first, second)
    assert ours[0].isdigit()
    assert theirs[0].isdigit()
    if any(unit in ours for unit in ("seconds", "minutes", "hours", "days")) and theirs.replace(",", "").isdigit():
        number = float(ours.split()[0].replace(",", ""))
        assert (number <= float(theirs.replace(",", ""))) == (first <= second) or number == float(
            theirs.replace(",", "")
        )


def test_two_times_of_a_sentence_have_one_unit_if_both_are_as_long_as_it():
    assert both_times(31 * 60, 92 * 60) == ("31 minutes", "92")
    assert both_times(5.5 * 3600, 90 * 60) == ("5.5 hours", "1.5")
    assert both_times(20, 92 * 60) == ("20 s", "1 h 32 min")


def test_shares_are_words():
    assert [less(share) for share in (0.66, -0.12, 0.001)] == ["66 % less", "12 % more", "less than 1 % less"]
    assert between(Spread(mean=0.65, half=0.05)) == "between 60 % and 70 % less"
    assert between(Spread(mean=-0.15, half=0.05)) == "between 10 % and 20 % more"
    assert between(Spread(mean=0.1, half=0.16)) == "between 6 % more and 26 % less"
