"""Training by example: where rows have items, steps are counted and drawn by item."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from kdcache.stream import Order, Share
from kdcache.stream.examples import Examples
from students.train.targets import LabelsOnly

COUNTS = np.array([2, 0, 3, 1, 4])


def labels(examples: Examples | None, rejected: Any = None, rank: int = 0, world: int = 1) -> LabelsOnly:
    images = cast(Any, SimpleNamespace(ids=[f"{row}.png" for row in range(5)], recipe=SimpleNamespace(kind="resize")))
    return LabelsOnly(images, views=[0], seed=7, share=Share(0, 3, rank, world), rejected=rejected, examples=examples)


def rows(examples: Examples | None, **chosen: Any) -> list[int]:
    epoch = labels(examples, **chosen).epoch(0, 0)
    drawn = np.concatenate([epoch.examples(step) for step in range(len(epoch))])
    found: list[int] = (drawn if examples is None else examples.rows_of(drawn)).tolist()
    return found


def test_each_row_comes_once_for_each_of_its_items() -> None:
    examples = Examples.of_items(COUNTS)
    assert len(labels(examples).epoch(0, 0)) == 4  # 10 items in batches of 3
    assert np.bincount(rows(examples), minlength=5).tolist() == COUNTS.tolist()


def test_items_of_rejected_rows_never_come() -> None:
    found = rows(Examples.of_items(COUNTS), rejected=lambda view: np.array([2]))
    assert np.bincount(found, minlength=5).tolist() == [2, 0, 0, 1, 4]


@pytest.mark.parametrize("examples", [None, Examples(5)])
def test_without_items_the_rows_are_those_of_the_order(examples: Examples | None) -> None:
    assert rows(examples) == Order(5, seed=7).slice(0, 5).tolist()


def test_two_processes_divide_the_items() -> None:
    both = [rows(Examples.of_items(COUNTS), rank=rank, world=2) for rank in (0, 1)]
    assert np.bincount(both[0] + both[1], minlength=5).tolist() == COUNTS.tolist()
