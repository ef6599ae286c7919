"""What a score is, by other means; and that neither the size of the batches nor their order changes it."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import Damage
from students.judging.interval import half_width, wilson
from students.tasks.classify.scores import Scores
from tests.students.judging import noise

CLASSES = 7


def scored(logits, labels, cuts=()):
    scores, edges = Scores(logits.shape[1]), [0, *sorted(cuts), len(logits)]
    for first, last in itertools.pairwise(edges):
        scores.add(torch.from_numpy(logits[first:last]), labels[first:last])
    return scores


def numbers_of(scores):
    return (
        scores.images, scores.top1, scores.top5, scores.loss, scores.calibration_error, scores.bins(),
        scores.confusions(),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_split_into_batches_and_any_order_gives_the_same_scores(data):
    rows = data.draw(st.integers(1, 40))
    logits = (noise(rows, CLASSES, data.draw(st.integers(0, 99))) * 4).astype(np.float32).round(1)
    labels = np.arange(rows) * 3 % CLASSES
    cuts = data.draw(st.lists(st.integers(0, rows), max_size=6))
    order = np.array(data.draw(st.permutations(range(rows))))
    assert numbers_of(scored(logits[order], labels[order], cuts)) == numbers_of(scored(logits, labels))


def test_scores_are_what_their_definitions_say():
    logits, labels = (noise(500, CLASSES) * 3).astype(np.float32), np.arange(500) % CLASSES
    scores = scored(logits, labels)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    order = np.argsort(-logits, axis=1)
    assert scores.top1 == np.mean(order[:, 0] == labels)
    assert scores.top5 == np.mean((order[:, :5] == labels[:, None]).any(1))
    assert scores.loss == pytest.approx(-np.log(p[np.arange(500), labels]).mean(), abs=1e-9)
    matrix = np.zeros((CLASSES, CLASSES), int)
    np.add.at(matrix, (labels, order[:, 0]), 1)
    assert {(c.true, c.guessed): c.images for c in scores.confusions()} == {
        (int(t), int(g)): int(matrix[t, g]) for t, g in np.argwhere(matrix)
    }
    confidence, right, error = p.max(1), order[:, 0] == labels, 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert scores.calibration_error == pytest.approx(error, abs=1e-9)


def test_a_student_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    probabilities = np.log(np.tile([[0.7, 0.3]], (1000, 1)))
    labels = (np.arange(1000) % 10 >= 7).astype(np.int64)
    assert scored(probabilities, labels).calibration_error == pytest.approx(0, abs=1e-8)
    assert scored(probabilities, np.zeros(1000, np.int64)).calibration_error == pytest.approx(0.3, abs=1e-8)


def test_equal_logits_are_ranked_by_class_number():
    """A student that says the same of all classes guesses class 0 and has the first five among its five."""
    labels = np.arange(CLASSES)
    scores = scored(np.zeros((CLASSES, CLASSES), np.float32), labels)
    assert (scores.right, scores.among_five) == (1, 5)
    assert {c.guessed for c in scores.confusions()} == {0}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_student_that_says_nonsense_is_refused(value):
    logits = torch.zeros(2, 3)
    logits[1, 2] = value
    with pytest.raises(Damage, match="NaN or infinity"):
        Scores(3).add(logits, np.array([0, 1]))


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (500, 1000, 0.4691, 0.5309)],
)
def test_the_interval_is_wilsons(right, count, low, high):
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_a_mean():
    assert half_width(np.array([0.0, 1.0] * 50)) == pytest.approx(1.96 * 0.5 / 10, abs=1e-4)
