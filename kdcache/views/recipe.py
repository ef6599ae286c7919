"""View recipes: how an image becomes the views that a teacher is shown. These are plain data; draw.py and apply.py use them.

Every length is relative (a fraction of the image or of the view), so teacher and student can be shown the same view at
different resolutions. The papers' numbers are in configs/views/*.yaml, not here. A recipe also has the background of
transparent pixels (images/background.py), so that an image is always decoded as it was for the teacher.
"""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kdcache.base.limits import LAYERS
from kdcache.base.strict import Strict
from kdcache.errors import UsageError
from kdcache.images.background import FORMS, WHITE, Background, canonical

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
PositiveShare = Annotated[float, Field(gt=0.0, le=1.0)]


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"the range starts at {span[0]} and ends at {span[1]}, which is smaller")
    return span


Shares = Annotated[tuple[PositiveShare, PositiveShare], AfterValidator(_ordered)]
Ratios = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]


class Shrink(Strict):
    """How a page is fitted to its canvas in two steps, as in Donut's code: first it is enlarged or reduced so that its shorter
    side is that of the canvas; then, if it is larger than the canvas, it is reduced to a thumbnail that fits.
    """

    interpolation: Interpolation
    """Interpolation of the second step; the first step uses the geometry's own."""
    sides: Literal["floor", "nearest"]
    """How the other side of the thumbnail is rounded: down (transformers), or to the best aspect ratio (Pillow)."""
    gap: Annotated[float, Field(ge=1.0, le=1000.0)] | None = None
    """Pillow's `reducing_gap`: a much larger picture is first reduced by a whole factor to at least this many times the
    target size.
    """


class Plain(Strict):
    """One fixed view.

    `crop`: resize the shorter side to size / crop_pct, then crop the centre. `squash`: resize both sides without keeping the
    aspect ratio. `pad`: fit inside and pad with black, centred. These two also resize to size / crop_pct and crop the centre.
    """

    kind: Literal["plain"] = "plain"
    fit: Literal["crop", "squash", "pad"]
    crop_pct: PositiveShare = 1.0
    interpolation: Interpolation = "bicubic"
    cut: Literal["once", "round", "floor"] = "once"
    """`once`: resize and crop in one call, which differs from the others by one or two grey levels (caches of the first
    releases). Otherwise the whole picture is resized and then cropped; half a pixel of margin is rounded to the even number
    (`round`: torchvision, timm) or down (`floor`: transformers)."""
    turn: bool = False
    """Whether the picture is rotated clockwise by 90 degrees when its orientation differs from that of the canvas."""
    shrink: Shrink | None = None
    """How `pad` fits the picture in two steps; None: one resize, with rounded sides."""
    background: Background = WHITE
    """Background of transparent pixels. The margin that `pad` adds is always black."""

    @model_validator(mode="after")
    def _only_pages_shrink(self) -> Self:
        if self.shrink is not None and (self.fit != "pad" or self.crop_pct != 1.0):
            raise ValueError(
                f"`shrink` requires `fit: pad` and `crop_pct: 1`, but these are {self.fit} and {self.crop_pct:g}"
            )
        return self

    @property
    def depends_on(self) -> frozenset[Literal["seed", "row"]]:
        """What a view depends on in addition to the image, its id and the view number: nothing."""
        return frozenset()

    @property
    def of_first_releases(self) -> bool:
        """Whether it crops or shrinks like the first releases, which no publisher does."""
        if self.fit == "pad":
            return self.shrink is None
        return self.cut == "once" and (self.fit == "crop" or self.crop_pct < 1.0)

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that were added later are only written if they change something; the background is always written."""
        later = {"cut": "once", "turn": False, "shrink": None}
        return {name: value for name, value in write(self).items() if name not in later or value != later[name]}


def _leaves_background_out(geometry: Plain) -> Plain:
    if geometry.background != WHITE:
        raise ValueError("a geometry must not have a `background`: a student gets it from the views of its training")
    return geometry


Geometry = Annotated[Plain, AfterValidator(_leaves_background_out)]
"""How an image is fitted to a size, for presets that do not determine the background of transparent pixels."""


class Crop(Strict):
    """RandomResizedCrop: area and aspect ratio are drawn up to ten times; if no box fits, a centre crop is used."""

    scale: Shares
    ratio: Ratios
    interpolation: Interpolation


class Jitter(Strict):
    """Colour jitter: factors drawn from [1 - x, 1 + x], applied in random order; hue is a fraction of the colour circle."""

    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    probability: Fraction = 1.0


class RandAugment(Strict):
    """RandAugment with timm's parameters: `layers` operations, each applied with `probability`, at magnitude + N(0, std)."""

    layers: Annotated[int, Field(ge=1, le=LAYERS)]
    magnitude: Annotated[float, Field(ge=0.0, le=10.0)]
    std: Amount
    probability: Fraction
    increasing: bool
    """timm's `inc1`: every operation gets stronger with the magnitude."""


class Erase(Strict):
    """Random erasing of a box with pixel noise, in image space, so that teacher and student see the same noise."""

    probability: Fraction
    area: Shares
    ratio: Ratios


class Mix(Strict):
    """Mixup and CutMix with a partner image from a seeded permutation of the dataset.

    An alpha of 0 switches that kind off; `switch` is the probability of CutMix if both are on.
    """

    probability: Fraction
    mixup_alpha: Amount
    cutmix_alpha: Amount
    switch: Fraction

    @model_validator(mode="after")
    def _something_is_on(self) -> Self:
        if self.mixup_alpha == 0.0 and self.cutmix_alpha == 0.0:
            raise ValueError("both alphas are 0: leave `mix` out to turn mixing off")
        return self


class Augment(Strict):
    """Random views, each a pure function of (seed, image id, view number)."""

    kind: Literal["augment"] = "augment"
    crop: Crop
    flip: Fraction
    jitter: Jitter | None = None
    randaugment: RandAugment | None = None
    erase: Erase | None = None
    mix: Mix | None = None
    background: Background = WHITE
    """Background of transparent pixels."""

    @property
    def depends_on(self) -> frozenset[Literal["seed", "row"]]:
        """What a view depends on in addition to the image, its id and the view number: the seed and, for mixing, the row."""
        return frozenset({"seed"}) if self.mix is None else frozenset({"seed", "row"})


class Foreign(Strict):
    """Views that another project rendered, and that only that project can render again.

    Such a cache has the teacher's signals and, if there are any, the project's seeds. kd can neither draw nor replay these
    views. Their pixel digests are unknown and stored as 0.
    """

    kind: Literal["foreign"] = "foreign"
    project: Literal["tinyvit"]
    keys: Literal["id", "stem", "index"]
    """How the other project names an image: by its id, by its file name without extension, or by its row."""
    epochs: tuple[int, ...]
    """Epoch each view was imported from, by view number."""

    @property
    def depends_on(self) -> frozenset[Literal["seed", "row"]]:
        """What a view depends on in addition to the image, its id and the view number: unknown, so everything."""
        return frozenset({"seed", "row"})


ViewRecipe = Annotated[Plain | Augment | Foreign, Field(discriminator="kind")]
Drawable = TypeVar("Drawable", Plain, Augment)


def on(recipe: Drawable, background: str | None) -> Drawable:
    """The recipe with another background; None keeps its own. UsageError if it is not a background."""
    if background is None:
        return recipe
    try:
        return recipe.model_copy(update={"background": canonical(background)})
    except ValueError as error:
        raise UsageError(f"unknown background {background!r}", hint=f"one of {FORMS}") from error


def drawable(recipe: Plain | Augment | Foreign) -> Plain | Augment:
    """Return the recipe if kd can render it; UsageError for views of another project."""
    if isinstance(recipe, Foreign):
        message = f"these views were rendered by {recipe.project}, and only {recipe.project} can render them again"
        raise UsageError(message, hint="such a cache can be read and exported; build one to train or replay")
    return recipe
