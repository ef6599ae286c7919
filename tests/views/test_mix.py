"""Mixup and CutMix: bit-exact, the label share is what the pixels show, and bad or equal partners mean no mixing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kdcache.base.dice import Dice, permuted
from kdcache.errors import BadImage
from kdcache.views import apply, draw, mix_of, view_pixels
from kdcache.views.draw import draw_mix
from kdcache.views.drawn import DrawnMix
from kdcache.views.mix import mixed
from kdcache.views.recipe import Augment, Mix, Plain

IDS = [f"image-{n}" for n in range(40)]
SIZE = (32, 32)


def load(image_id: str) -> NDArray[np.uint8]:
    """A picture of one colour that tells which image it is."""
    return np.full((32, 32, 3), 4 * int(image_id.removeprefix("image-")) + 10, np.uint8)


def only(preset: Callable[[str], Augment], **values: float) -> Augment:
    """A recipe that mixes and does little else."""
    mix = {"probability": 1.0, "mixup_alpha": 0.8, "cutmix_alpha": 1.0, "switch": 0.5} | values
    return Augment.from_plain(preset("data2vec").plain() | {"mix": mix})


def views(recipe: Augment, row: int, view: int) -> NDArray[np.uint8]:
    return view_pixels(recipe, seed=5, view=view, row=row, size=SIZE, ids=IDS, load=load)


def partner_of(recipe: Augment, row: int, view: int) -> tuple[int, float] | None:
    return mix_of(recipe, seed=5, image_id=IDS[row], view=view, row=row, rows=len(IDS))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_label_share_is_the_share_of_the_pixels(preset: Callable[[str], Augment], kind: str) -> None:
    recipe = only(preset, **({"cutmix_alpha": 0.0} if kind == "mixup" else {"mixup_alpha": 0.0}))
    seen = 0
    for row in range(len(IDS)):
        pixels, mix = views(recipe, row, 3).astype(float), partner_of(recipe, row, 3)
        own = float(load(IDS[row])[0, 0, 0])
        if mix is None:
            assert (pixels == own).all()
            continue
        partner, share = mix
        other = float(load(IDS[partner])[0, 0, 0])
        measured = (pixels.mean() - other) / (own - other)
        slack = 0.5 / abs(own - other) if kind == "mixup" else 0.07  # a level; a box cut at pixels of 32 x 32
        assert measured == pytest.approx(share, abs=slack + 1e-9)
        assert len(np.unique(pixels)) <= (1 if kind == "mixup" else 2)
        seen += 1
    assert seen > 30


def test_the_partner_shows_its_own_draw_unmixed(preset: Callable[[str], Augment], woven: NDArray[np.uint8]) -> None:
    recipe = only(preset, mixup_alpha=0.0)
    image = {name: np.roll(woven, 7 * n, axis=1) for n, name in enumerate(IDS)}
    for row in range(10):
        mix = partner_of(recipe, row, 0)
        if mix is None:
            continue
        pixels = view_pixels(recipe, seed=5, view=0, row=row, size=SIZE, ids=IDS, load=image.__getitem__)
        own = apply(image[IDS[row]], draw(recipe, seed=5, image_id=IDS[row], view=0), SIZE)
        other_id = IDS[mix[0]]
        other = apply(image[other_id], draw(recipe, seed=5, image_id=other_id, view=0), SIZE)
        assert ((pixels == own) | (pixels == other)).all()
        assert (pixels == other).any()


def test_partners_are_a_permutation_that_changes_with_the_view(preset: Callable[[str], Augment]) -> None:
    recipe = only(preset)
    partners = [[(partner_of(recipe, row, view) or (row, 1.0))[0] for row in range(len(IDS))] for view in (0, 1)]
    assert partners[0] != partners[1]
    assert len(set(partners[0])) > len(IDS) - 3  # a permutation, less the few that stay unmixed


def test_a_bad_partner_makes_a_bad_row(preset: Callable[[str], Augment]) -> None:
    recipe = only(preset)
    row = next(row for row in range(len(IDS)) if partner_of(recipe, row, 0))
    partner, _ = partner_of(recipe, row, 0) or (0, 0.0)

    def broken(image_id: str) -> NDArray[np.uint8]:
        if image_id == IDS[partner]:
            raise BadImage(f"{image_id} is broken")
        return load(image_id)

    with pytest.raises(BadImage, match=f"its partner {IDS[partner]} cannot be used: .* is broken"):
        view_pixels(recipe, seed=5, view=0, row=row, size=SIZE, ids=IDS, load=broken)
    with pytest.raises(BadImage):
        view_pixels(recipe, seed=5, view=0, row=partner, size=SIZE, ids=IDS, load=broken)


def test_an_image_is_never_mixed_with_itself(preset: Callable[[str], Augment]) -> None:
    recipe = only(preset)
    view = next(view for view in range(1000) if permuted(3, len(IDS), 5, view) == 3)
    assert partner_of(recipe, 3, view) is None
    assert (views(recipe, 3, view) == load(IDS[3])[0, 0, 0]).all()


def test_one_image_alone_stays_unmixed(preset: Callable[[str], Augment]) -> None:
    pixels = view_pixels(only(preset), seed=5, view=0, row=0, size=SIZE, ids=IDS[:1], load=load)
    assert (pixels == 10).all()


def test_recipes_that_do_not_mix_say_so(preset: Callable[[str], Augment]) -> None:
    assert partner_of(preset("tinyvit-22k"), 0, 0) is None
    assert mix_of(Plain(fit="crop"), seed=0, image_id="a", view=0, row=0, rows=9) is None
    rare = only(preset, probability=0.25)
    assert 0.1 < sum(partner_of(rare, row, 0) is not None for row in range(40)) / 40 < 0.45


@given(own=st.integers(0, 65535), a=st.integers(0, 255), b=st.integers(0, 255))
def test_mixup_rounds_half_up_exactly(own: int, a: int, b: int) -> None:
    one, other = np.full((1, 1, 3), a, np.uint8), np.full((1, 1, 3), b, np.uint8)
    result = mixed(one, other, DrawnMix("mixup", own, None))
    assert result.dtype == np.uint8
    assert int(result[0, 0, 0]) == (2 * (a * own + b * (65536 - own)) + 65536) // 131072


def test_cutmix_boxes_are_shares_of_the_view() -> None:
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    how = DrawnMix("cutmix", 49152, (0.25, 0.5, 0.75, 1.0))
    small = mixed(black, white, how)
    large = mixed(black.repeat(4, 0).repeat(4, 1), white.repeat(4, 0).repeat(4, 1), how)
    assert np.array_equal(large, small.repeat(4, axis=0).repeat(4, axis=1))
    assert (small[32:, 16:48] == 255).all()
    assert small.mean() == pytest.approx(255 * (1 - how.share_of_own))


def test_cutmix_boxes_are_squares_cut_at_the_borders() -> None:
    recipe = Mix(probability=1.0, mixup_alpha=0.0, cutmix_alpha=1.0, switch=0.0)
    drawn = [d for key in range(3000) if (d := draw_mix(recipe, Dice(1, key)))]
    whole = 0
    for how in drawn:
        assert how.box is not None
        left, top, right, bottom = how.box
        assert 0.0 <= left < right <= 1.0
        assert 0.0 <= top < bottom <= 1.0
        assert how.share_of_own == pytest.approx(1 - (right - left) * (bottom - top), abs=1e-5)
        if left > 0.0 and top > 0.0 and right < 1.0 and bottom < 1.0:
            assert right - left == pytest.approx(bottom - top)
            whole += 1
    assert whole > 300
    middles = np.array([((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for d in drawn if (b := d.box)])
    assert middles.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.02)


def test_shares_follow_the_beta_distribution() -> None:
    recipe = Mix(probability=1.0, mixup_alpha=0.8, cutmix_alpha=0.0, switch=0.5)
    shares = np.array([d.share_of_own for key in range(5000) if (d := draw_mix(recipe, Dice(1, key)))])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), rel=0.06)
