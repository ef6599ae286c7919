"""Tasks that are judged together share the embeddings: each image is seen once, whichever tasks ask for it."""

from dataclasses import replace

import pytest

from kdcache.base.progress import Silent
from students.judging.evaluate import judge_all
from students.judging.registry import chosen
from tests.students.judging import Tiny, cycling, examples_of, spec_of, student_of

CLASSES = ("a", "b", "c")
IMAGES, BANK, BATCH = 20, 36, 8
ONCE = -(-IMAGES // BATCH) + -(-BANK // BATCH)


@pytest.fixture
def network():
    return Tiny(len(CLASSES))


@pytest.fixture
def judged(network):
    """Reports by task, and the number of forward passes."""
    passes = []
    network.body.register_forward_hook(lambda *_: passes.append(1))

    def by(*tasks):
        passes.clear()
        student = student_of(network, spec_of(*CLASSES), batch=BATCH)
        with examples_of(cycling(IMAGES, CLASSES), others()) as examples:
            found = judge_all(student, examples, chosen(tasks, {}), Silent())
        return {each.task.name: each.report.plain() | {"seconds": 0} for each in found}, len(passes)

    return by


def others():
    """A bank: other images of the same classes."""
    return replace(cycling(BANK, CLASSES), ids=tuple(f"bank-{IMAGES + row}" for row in range(BANK)))


def test_images_are_embedded_once_for_all_tasks(judged):
    assert judged("knn") == (judged("knn")[0], ONCE)
    together, passes = judged("knn", "retrieve")
    assert passes == ONCE
    assert together == judged("knn")[0] | judged("retrieve")[0], "and every report is what it is alone"


def test_what_is_judged_later_is_embedded_anew(network, judged):
    """A network may have been trained in the meantime."""
    student = student_of(network, spec_of(*CLASSES), batch=BATCH)
    with examples_of(cycling(IMAGES, CLASSES), others()) as examples:
        before = judge_all(student, examples, chosen(["retrieve"], {}), Silent())[0].report
        network.body.weight.data.normal_()
        after = judge_all(student, examples, chosen(["retrieve"], {}), Silent())[0].report
    assert before.marks != after.marks
