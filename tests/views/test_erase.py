"""Erased boxes: the same noise at every resolution, close to ImageNet's normal distribution, bit-exact."""

import numpy as np
import pytest

from kdcache.base.digest import block_hash
from kdcache.views.drawn import GRID, ErasedBox
from kdcache.views.erase import erase, noise

BOX = ErasedBox(top=30, left=60, bottom=130, right=200, noise=12345)


def erased(size: tuple[int, int], box: ErasedBox = BOX) -> np.ndarray:
    pixels = np.zeros((*size, 3), np.uint8)
    erase(pixels, box)
    return pixels


def test_on_the_reference_grid_cells_are_pixels() -> None:
    pixels = erased((GRID, GRID))
    assert np.array_equal(pixels[30:130, 60:200], noise(BOX))
    pixels[30:130, 60:200] = 0
    assert not pixels.any()


def test_half_the_size_shows_every_second_cell() -> None:
    assert np.array_equal(erased((112, 112)), erased((GRID, GRID))[1::2, 1::2])


def test_twice_the_size_shows_every_cell_four_times() -> None:
    assert np.array_equal(erased((448, 448)), erased((GRID, GRID)).repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (384, 384), (500, 333)], ids=str)
def test_any_size_shows_cells_of_the_same_noise_in_the_same_place(size: tuple[int, int]) -> None:
    pixels, grid = erased(size), erased((GRID, GRID))
    y = (2 * np.arange(size[0]) + 1) * GRID // (2 * size[0])
    x = (2 * np.arange(size[1]) + 1) * GRID // (2 * size[1])
    agree = (pixels == grid[np.ix_(y, x)]).all(axis=-1)
    rows, columns = np.flatnonzero(pixels.any(axis=(1, 2))), np.flatnonzero(pixels.any(axis=(0, 2)))
    assert agree[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]].all()
    assert (rows[-1] + 1 - rows[0]) / size[0] == pytest.approx(100 / GRID, abs=1 / size[0])
    assert (columns[-1] + 1 - columns[0]) / size[1] == pytest.approx(140 / GRID, abs=1 / size[1])


def test_a_box_thinner_than_a_pixel_may_vanish() -> None:
    erased((1, 1), ErasedBox(0, 0, 3, 3, noise=1))


def test_noise_has_the_mean_and_deviation_of_imagenet() -> None:
    values = noise(ErasedBox(0, 0, GRID, GRID, noise=99)).astype(float)
    assert values.mean(axis=(0, 1)) == pytest.approx([123.675, 116.28, 103.53], abs=1.5)
    assert values.std(axis=(0, 1)) == pytest.approx([58.395, 57.12, 57.375], rel=0.03)
    one_sigma = (np.abs(values[..., 0] - 123.675) < 58.395).mean()
    assert one_sigma == pytest.approx(0.6827, abs=0.02)


def test_channels_and_neighbours_are_independent() -> None:
    values = noise(ErasedBox(0, 0, GRID, GRID, noise=99)).astype(float).reshape(-1, 3)
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.02
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.02


def test_noise_is_the_same_on_every_machine() -> None:
    assert block_hash(noise(BOX).tobytes()) == "a7d12a78581a51e0"


def test_another_number_makes_other_noise() -> None:
    assert not np.array_equal(noise(BOX), noise(ErasedBox(30, 60, 130, 200, noise=12346)))
