"""Draw the parameters of a view: a pure function of (recipe, seed, image id, view number). No image is needed.

Every ingredient has its own random numbers, so that switching one off does not change the draws of the others.
"""

import math
from enum import IntEnum

from kdcache.base.dice import Dice
from kdcache.base.digest import id_hash
from kdcache.views import randaugment
from kdcache.views.drawn import GRID, CropTry, Drawn, DrawnCrop, DrawnMix, ErasedBox, Op
from kdcache.views.recipe import Augment, Crop, Erase, Jitter, Mix, Plain, RandAugment

TRIES = 10


class Purpose(IntEnum):
    """The ingredient that random numbers are for. The numbers determine what a seed means: never reuse or change one."""

    CROP = 1
    FLIP = 2
    JITTER = 3
    RANDAUGMENT = 4
    ERASE = 5
    MIX = 6
    NOISE = 7


def draw(recipe: Plain | Augment, *, seed: int, image_id: str, view: int) -> Drawn:
    """Draw all random parameters of one view of one image."""
    if isinstance(recipe, Plain):
        return Drawn(plain=recipe)
    key = id_hash(image_id)

    def dice(purpose: Purpose) -> Dice:
        return Dice(seed, key, view, purpose)

    ops = draw_ops(recipe.randaugment, dice(Purpose.RANDAUGMENT)) if recipe.randaugment else ()
    jitter = draw_jitter(recipe.jitter, dice(Purpose.JITTER)) if recipe.jitter else ()
    return Drawn(
        crop=draw_crop(recipe.crop, dice(Purpose.CROP)),
        flip=dice(Purpose.FLIP).chance(recipe.flip),
        ops=ops + jitter,
        erase=draw_erase(recipe.erase, dice(Purpose.ERASE)) if recipe.erase else None,
        mix=draw_mix(recipe.mix, dice(Purpose.MIX)) if recipe.mix else None,
    )


def draw_crop(recipe: Crop, dice: Dice) -> DrawnCrop:
    """Draw ten candidate boxes. Which one fits depends on the image's aspect ratio, which is not known here."""
    low, high = math.log(recipe.ratio[0]), math.log(recipe.ratio[1])
    (smallest, largest), values = recipe.scale, iter(dice.uniforms(4 * TRIES).tolist())
    tries = tuple(
        CropTry(smallest + (largest - smallest) * area, low + (high - low) * ratio, x, y)
        for area, ratio, x, y in zip(values, values, values, values, strict=True)
    )
    return DrawnCrop(tries, recipe.ratio, recipe.interpolation)


def draw_jitter(recipe: Jitter, dice: Dice) -> tuple[Op, ...]:
    """Draw brightness, contrast, saturation and hue, in random order. All are drawn, even if their range is empty."""
    applied = dice.chance(recipe.probability)
    ranges = {"brightness": recipe.brightness, "contrast": recipe.contrast, "color": recipe.saturation}
    ops = [Op(name, dice.uniform(max(0.0, 1.0 - x), 1.0 + x)) for name, x in ranges.items()]
    ops.append(Op("hue", dice.uniform(-recipe.hue, recipe.hue)))
    for last in range(len(ops) - 1, 0, -1):
        other = dice.below(last + 1)
        ops[last], ops[other] = ops[other], ops[last]
    used = {name for name, x in (ranges | {"hue": recipe.hue}).items() if x > 0.0}
    return tuple(op for op in ops if applied and op.name in used)


def draw_ops(recipe: RandAugment, dice: Dice) -> tuple[Op, ...]:
    """Draw the RandAugment operations to apply; as in timm, the same one may be drawn twice."""
    ops = []
    for _ in range(recipe.layers):
        name = randaugment.NAMES[dice.below(len(randaugment.NAMES))]
        applied = dice.chance(recipe.probability)
        magnitude = min(max(recipe.magnitude + recipe.std * dice.normal(), 0.0), randaugment.TOP)
        negative = dice.chance(0.5)
        if applied:
            ops.append(Op(name, randaugment.strength(name, magnitude, negative, recipe.increasing)))
    return tuple(ops)


def draw_erase(recipe: Erase, dice: Dice) -> ErasedBox | None:
    """Draw a box on the reference grid that is smaller than the view in both directions; None after ten failed tries."""
    if not dice.chance(recipe.probability):
        return None
    low, high = math.log(recipe.ratio[0]), math.log(recipe.ratio[1])
    for _ in range(TRIES):
        area = dice.uniform(*recipe.area) * GRID * GRID
        aspect = math.exp(dice.uniform(low, high))
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        top, left = dice.uniform(), dice.uniform()
        if 0 < height < GRID and 0 < width < GRID:
            y, x = int(top * (GRID - height + 1)), int(left * (GRID - width + 1))
            return ErasedBox(y, x, y + height, x + width, noise=dice.word() >> 12)
    return None


def draw_mix(recipe: Mix, dice: Dice) -> DrawnMix | None:
    """Draw Mixup or CutMix and its share; None if this view is not mixed."""
    mixed, switched = dice.chance(recipe.probability), dice.chance(recipe.switch)
    if not mixed:
        return None
    centre_x, centre_y = dice.uniform(), dice.uniform()
    if recipe.cutmix_alpha == 0.0 or (recipe.mixup_alpha > 0.0 and not switched):
        own = round(dice.beta(recipe.mixup_alpha, recipe.mixup_alpha) * 65536)
        return DrawnMix("mixup", own, None) if own < 65536 else None
    half = math.sqrt(1.0 - dice.beta(recipe.cutmix_alpha, recipe.cutmix_alpha)) / 2.0
    left, right = max(0.0, centre_x - half), min(1.0, centre_x + half)
    top, bottom = max(0.0, centre_y - half), min(1.0, centre_y + half)
    own = round((1.0 - (right - left) * (bottom - top)) * 65536)
    return DrawnMix("cutmix", own, (left, top, right, bottom)) if own < 65536 else None
