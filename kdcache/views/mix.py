"""Mixup and CutMix with a partner image from a seeded permutation of the dataset, computed with integers."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kdcache.base.dice import Dice, permuted
from kdcache.base.digest import id_hash
from kdcache.errors import BadImage
from kdcache.views.apply import apply
from kdcache.views.draw import Purpose, draw, draw_mix
from kdcache.views.drawn import DrawnMix
from kdcache.views.recipe import Augment, Plain

Pixels = NDArray[np.uint8]


class Ids(Protocol):
    """Image ids by row."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> str: ...


def mix_of(
    recipe: Plain | Augment, *, seed: int, image_id: str, view: int, row: int, rows: int
) -> tuple[int, float] | None:
    """The row of the partner and the share of the image itself in the mixed label; None if the view is not mixed.

    It holds for all rows that are not bad, because a view whose partner cannot be read is a bad row too.
    """
    if not isinstance(recipe, Augment) or recipe.mix is None:
        return None
    drawn = draw_mix(recipe.mix, Dice(seed, id_hash(image_id), view, Purpose.MIX))
    partner = permuted(row, rows, seed, view)
    return None if drawn is None or partner == row else (partner, drawn.share_of_own)


def view_pixels(
    recipe: Plain | Augment,
    *,
    seed: int,
    view: int,
    row: int,
    size: tuple[int, int],
    ids: Ids,
    load: Callable[[str], Pixels],
) -> Pixels:
    """The exact pixels that a teacher is shown: one view of one row, mixed with its partner if the recipe mixes.

    BadImage if one of the two images cannot be used. Without its partner it would be a different view, and the result would
    depend on whether a file happened to be readable at that moment.
    """
    image_id = ids[row]
    drawn = draw(recipe, seed=seed, image_id=image_id, view=view)
    own = apply(load(image_id), drawn, size)
    partner = permuted(row, len(ids), seed, view)
    if drawn.mix is None or partner == row:
        return own
    other_id = ids[partner]
    try:
        image = load(other_id)
    except BadImage as error:
        raise BadImage(f"its partner {other_id} cannot be used: {error.message}") from error
    return mixed(own, apply(image, draw(recipe, seed=seed, image_id=other_id, view=view), size), drawn.mix)


def mixed(own: Pixels, other: Pixels, how: DrawnMix) -> Pixels:
    """Mix two views of the same size; Mixup rounds half up."""
    if how.box is None:
        blend = own.astype(np.uint32) * how.own + other.astype(np.uint32) * (65536 - how.own) + 32768
        return (blend >> 16).astype(np.uint8)
    height, width = own.shape[:2]
    left, top, right, bottom = how.box
    rows = slice(_pixel(top, height), _pixel(bottom, height))
    columns = slice(_pixel(left, width), _pixel(right, width))
    result = own.copy()
    result[rows, columns] = other[rows, columns]
    return result


def _pixel(share: float, length: int) -> int:
    return int(share * length + 0.5)
