"""Drawing is a pure function of (recipe, seed, image id, view), and ingredients do not disturb each other."""

import json
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.base.dice import Dice
from kdcache.views import Drawn, draw
from kdcache.views.apply import crop_box
from kdcache.views.draw import Purpose, draw_crop
from kdcache.views.drawn import GRID
from kdcache.views.recipe import Augment, Crop, Plain

INGREDIENTS = ("jitter", "randaugment", "erase", "mix")


def many(recipe: Augment, count: int = 2000) -> list[Drawn]:
    return [draw(recipe, seed=7, image_id=f"image-{n}", view=n % 3) for n in range(count)]


@given(seed=st.integers(0, 2**64 - 1), image_id=st.text(), view=st.integers(0, 10_000))
@settings(max_examples=50)
def test_the_same_name_draws_the_same_view(seed: int, image_id: str, view: int) -> None:
    crop = Crop(scale=(0.08, 1.0), ratio=(0.75, 4 / 3), interpolation="bicubic")
    recipe = Augment(crop=crop, flip=0.5)
    assert draw(recipe, seed=seed, image_id=image_id, view=view) == draw(
        recipe, seed=seed, image_id=image_id, view=view
    )


def test_another_view_seed_or_image_draws_something_else(everything: Augment) -> None:
    drawn = {
        draw(everything, seed=seed, image_id=image_id, view=view)
        for seed in (0, 1)
        for image_id in ("a", "b")
        for view in (0, 1)
    }
    assert len(drawn) == 8


@pytest.mark.parametrize("off", INGREDIENTS)
def test_an_ingredient_turned_off_leaves_the_others_as_they_were(everything: Augment, off: str) -> None:
    without = everything.model_copy(update={off: None})
    for n in range(200):
        full = draw(everything, seed=3, image_id=str(n), view=n)
        rest = draw(without, seed=3, image_id=str(n), view=n)
        assert (rest.crop, rest.flip) == (full.crop, full.flip)
        assert rest.erase == (None if off == "erase" else full.erase)
        assert rest.mix == (None if off == "mix" else full.mix)
        if off in ("erase", "mix"):
            assert rest.ops == full.ops
        elif off == "jitter":
            assert rest.ops == full.ops[: len(rest.ops)]
        else:
            assert rest.ops == full.ops[len(full.ops) - len(rest.ops) :]


def test_another_flip_chance_leaves_the_crop_as_it_was(everything: Augment) -> None:
    never = everything.model_copy(update={"flip": 0.0})
    full, rest = many(everything, 100), many(never, 100)
    assert [d.crop for d in full] == [d.crop for d in rest]
    assert not any(d.flip for d in rest)


def test_no_two_ingredients_share_dice() -> None:
    assert len({int(purpose) for purpose in Purpose}) == len(list(Purpose)) == 7


def test_a_drawn_view_prints_as_json(everything: Augment) -> None:
    for drawn in [*many(everything, 50), draw(Plain(fit="pad"), seed=0, image_id="a", view=0)]:
        values = json.loads(json.dumps(drawn.as_json(), allow_nan=False))
        assert set(values) == {"plain", "crop", "flip", "ops", "erase", "mix"}
        assert values["flip"] is drawn.flip
        assert len(values["ops"]) == len(drawn.ops)


def test_chances_are_those_of_the_recipe(everything: Augment) -> None:
    drawn = many(everything, 4000)
    assert sum(d.flip for d in drawn) / 4000 == pytest.approx(0.5, abs=0.03)
    assert sum(d.erase is not None for d in drawn) / 4000 == pytest.approx(0.25, abs=0.03)
    assert sum(any(op.name == "hue" for op in d.ops) for d in drawn) / 4000 == pytest.approx(0.8, abs=0.03)
    kinds = Counter(d.mix.kind for d in drawn if d.mix)
    assert kinds["cutmix"] / 4000 == pytest.approx(0.5, abs=0.03)


def test_randaugment_draws_every_operation_alike_and_applies_half(everything: Augment) -> None:
    only = everything.model_copy(update={"jitter": None})
    names = Counter(op.name for d in many(only, 6000) for op in d.ops)
    assert sum(names.values()) / 6000 == pytest.approx(1.0, abs=0.03)
    assert len(names) == 15
    assert all(300 < count < 500 for count in names.values())


def test_magnitudes_spread_around_nine(everything: Augment) -> None:
    only = everything.model_copy(update={"jitter": None})
    degrees = [op.value for d in many(only, 6000) for op in d.ops if op.name == "rotate"]
    sizes = [abs(d) for d in degrees if d is not None]
    assert sum(sizes) / len(sizes) == pytest.approx(27.0, abs=0.3)
    assert max(sizes) == 30.0  # magnitudes beyond 10 are cut
    assert sum(d is not None and d < 0 for d in degrees) / len(degrees) == pytest.approx(0.5, abs=0.08)


def test_jitter_factors_stay_in_range_in_every_order(everything: Augment) -> None:
    only = everything.model_copy(update={"randaugment": None})
    orders = Counter(tuple(op.name for op in d.ops) for d in many(only, 3000))
    assert len(orders) == 24 + 1  # each order, and not applied
    for drawn in many(only, 500):
        for op in drawn.ops:
            low, high = (-0.1, 0.1) if op.name == "hue" else (0.6, 1.4)
            assert op.value is not None
            assert low <= op.value <= high


def test_jitter_of_zero_is_no_operation(everything: Augment) -> None:
    recipe = Augment.from_plain(everything.plain() | {"randaugment": None, "jitter": {"contrast": 0.4}})
    assert {op.name for d in many(recipe, 50) for op in d.ops} == {"contrast"}


def test_crop_tries_cover_scale_and_ratio(everything: Augment) -> None:
    tries = [one for d in many(everything, 500) if d.crop for one in d.crop.tries]
    areas = [one.area for one in tries]
    assert min(areas) < 0.09
    assert max(areas) > 0.99
    assert all(0.08 <= area <= 1.0 for area in areas)
    assert all(math.log(0.75) <= one.log_ratio <= math.log(4 / 3) for one in tries)
    assert sum(areas) / len(areas) == pytest.approx(0.54, abs=0.01)


@given(key=st.integers(0, 2**64 - 1), width=st.integers(1, 5000), height=st.integers(1, 5000))
@settings(max_examples=300)
def test_crop_boxes_lie_inside_the_image(key: int, width: int, height: int) -> None:
    crop = draw_crop(Crop(scale=(0.08, 1.0), ratio=(0.75, 4 / 3), interpolation="bicubic"), Dice(0, key))
    left, top, right, bottom = crop_box(crop, width, height)
    assert 0.0 <= left < right <= 1.0
    assert 0.0 <= top < bottom <= 1.0
    ratio = (right - left) * width / ((bottom - top) * height)
    assert 0.75 - 1e-9 <= ratio <= 4 / 3 + 1e-9


def test_a_strip_is_cropped_to_its_middle(everything: Augment) -> None:
    crop = draw(everything, seed=0, image_id="a", view=0).crop
    assert crop is not None
    assert crop_box(crop, 400, 1) == pytest.approx((0.5 - 1 / 600, 0.0, 0.5 + 1 / 600, 1.0))


def test_erased_boxes_keep_area_and_aspect(everything: Augment) -> None:
    boxes = [d.erase for d in many(everything, 4000) if d.erase]
    for box in boxes:
        height, width = box.bottom - box.top, box.right - box.left
        assert 0 <= box.top < box.bottom <= GRID
        assert 0 <= box.left < box.right <= GRID
        assert 0.019 < height * width / GRID**2 < 0.336
        assert 0.29 < height / width < 3.45
    assert len({box.noise for box in boxes}) == len(boxes)


def test_randaugment_operations_come_before_jitter(everything: Augment) -> None:
    drawn = next(d for d in many(everything) if len(d.ops) == 6)

    assert sorted(op.name for op in drawn.ops[-4:]) == ["brightness", "color", "contrast", "hue"]
