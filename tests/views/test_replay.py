"""The replay proof tells exactly the rows that no longer render as they did."""

import numpy as np
import pytest
from numpy.typing import NDArray

from kdcache.base.digest import pixel_digest
from kdcache.errors import BadImage, Unavailable
from kdcache.views import DriftedRow, replay, view_pixels
from kdcache.views.recipe import Augment

IDS = [f"{n}" for n in range(12)]
ROWS = list(range(12))
SIZE = (24, 32)


def load(image_id: str) -> NDArray[np.uint8]:
    return np.random.default_rng(int(image_id)).integers(0, 256, (40, 30, 3), dtype=np.uint8)


@pytest.fixture
def expected(everything: Augment) -> list[int]:
    return [
        pixel_digest(view_pixels(everything, seed=2, view=4, row=row, size=SIZE, ids=IDS, load=load)) for row in ROWS
    ]


def test_an_undisturbed_view_replays(everything: Augment, expected: list[int]) -> None:
    assert replay(everything, seed=2, view=4, rows=ROWS, size=SIZE, ids=IDS, load=load, expected=expected) == []


@pytest.mark.parametrize("change", ["seed", "view", "size"])
def test_another_seed_view_or_size_does_not(everything: Augment, expected: list[int], change: str) -> None:
    ask = {"seed": 2, "view": 4, "size": SIZE} | {change: (32, 24) if change == "size" else 9}
    drifted = replay(everything, rows=ROWS, ids=IDS, load=load, expected=expected, **ask)
    assert [d.row for d in drifted] == ROWS


def test_one_changed_pixel_is_named(everything: Augment, expected: list[int]) -> None:
    recipe = everything.model_copy(update={"mix": None})
    before = [pixel_digest(view_pixels(recipe, seed=2, view=4, row=r, size=SIZE, ids=IDS, load=load)) for r in ROWS]

    def changed(image_id: str) -> NDArray[np.uint8]:
        image = load(image_id).copy()
        if image_id == "7":
            image ^= 0x10
        return image

    drifted = replay(recipe, seed=2, view=4, rows=ROWS, size=SIZE, ids=IDS, load=changed, expected=np.array(before))
    assert [(d.row, d.expected) for d in drifted] == [(7, before[7])]
    assert drifted[0].got not in (0, before[7])


def test_an_image_that_became_unreadable_drifts_to_zero(everything: Augment) -> None:
    recipe = everything.model_copy(update={"mix": None})

    def broken(image_id: str) -> NDArray[np.uint8]:
        raise BadImage(f"{image_id} is broken")

    ask = {"seed": 0, "view": 0, "rows": [3, 5], "size": SIZE, "ids": IDS, "load": broken}
    assert replay(recipe, expected=[0, 77], **ask) == [DriftedRow(5, 77, 0)]


def test_an_image_that_became_readable_drifts_from_zero(everything: Augment, expected: list[int]) -> None:
    drifted = replay(everything, seed=2, view=4, rows=[6], size=SIZE, ids=IDS, load=load, expected=[0])
    assert drifted == [DriftedRow(6, 0, expected[6])]


def test_a_vanished_source_is_not_a_drift(everything: Augment) -> None:
    def gone(image_id: str) -> NDArray[np.uint8]:
        raise Unavailable(f"{image_id} cannot be reached")

    with pytest.raises(Unavailable):
        replay(everything, seed=0, view=0, rows=[0], size=SIZE, ids=IDS, load=gone, expected=[0])


def test_rows_and_digests_must_pair(everything: Augment) -> None:
    with pytest.raises(ValueError, match="zip"):
        replay(everything, seed=0, view=0, rows=[0, 1], size=SIZE, ids=IDS, load=load, expected=[0])
