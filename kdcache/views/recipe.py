"""View recipes: how one image becomes the views a teacher sees. Plain data; drawing and applying live beside this file.

Every length is relative (a share of the image or of the view), so teacher and student can see the same view at
different resolutions. Numbers of the papers are in configs/views/*.yaml, not here. A recipe also says what lies under
transparent pixels (images/background.py), so that whoever renders a view decodes the image as the teacher saw it.
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
    """How a page is made to fit its canvas in two steps, as Donut's programs do: first its shorter side becomes that of the
    canvas, whichever way that changes its size, then what is larger than the canvas is made a thumbnail of it.
    """

    interpolation: Interpolation
    """Interpolation of the second step; the first step uses the geometry's own."""
    sides: Literal["floor", "nearest"]
    """How the other side of the thumbnail is rounded: down (transformers), or to what keeps the ratio best (Pillow's own)."""
    gap: Annotated[float, Field(ge=1.0, le=1000.0)] | None = None
    """Pillow's `reducing_gap`: a much larger picture is first reduced by whole factors, down to this many times the
    target size.
    """


class Plain(Strict):
    """One fixed view.

    `crop`: resize so that the shorter side is size / crop_pct, then cut the centre. `squash`: resize both sides, ratio
    lost. `pad`: fit inside and pad with black, centred. These two, too, fit to size / crop_pct and cut the centre.
    """

    kind: Literal["plain"] = "plain"
    fit: Literal["crop", "squash", "pad"]
    crop_pct: PositiveShare = 1.0
    interpolation: Interpolation = "bicubic"
    cut: Literal["once", "round", "floor"] = "once"
    """`once`: resized and cut in one call, within a grey level or two of the others (all caches of the first releases). Else the
    whole picture is resized and then cut, at half of what is too much: a half is rounded to the even number (torchvision, timm)
    or down (transformers)."""
    turn: bool = False
    """Whether the picture is turned clockwise by a quarter when its long side is not that of the canvas."""
    shrink: Shrink | None = None
    """How `pad` makes the picture fit; None: one resize, sides rounded."""
    background: Background = WHITE
    """Colour under transparent pixels of the image. What `pad` adds is always black."""

    @model_validator(mode="after")
    def _only_pages_shrink(self) -> Self:
        if self.shrink is not None and (self.fit != "pad" or self.crop_pct != 1.0):
            raise ValueError(
                f"`shrink` is for `fit: pad` of the whole picture, this is {self.fit} of {self.crop_pct:g}"
            )
        return self

    @property
    def depends_on(self) -> frozenset[Literal["seed", "row"]]:
        """What a view depends on beside the image, its id and the number of the view: nothing."""
        return frozenset()

    @property
    def of_first_releases(self) -> bool:
        """Cut or shrunk as the first releases did, and no publisher does."""
        if self.fit == "pad":
            return self.shrink is None
        return self.cut == "once" and (self.fit == "crop" or self.crop_pct < 1.0)

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields that came later are written where they change something, but the background always: a person should see it."""
        later = {"cut": "once", "turn": False, "shrink": None}
        return {name: value for name, value in write(self).items() if name not in later or value != later[name]}


def _leaves_background_out(geometry: Plain) -> Plain:
    if geometry.background != WHITE:
        raise ValueError("a geometry without `background`, which a student has from the views it learns from")
    return geometry


Geometry = Annotated[Plain, AfterValidator(_leaves_background_out)]
"""How an image is brought to a size, in a preset that does not decide the colour under transparent pixels."""


class Crop(Strict):
    """RandomResizedCrop: the share of the area and the aspect ratio are drawn, ten tries, then a centre crop."""

    scale: Shares
    ratio: Ratios
    interpolation: Interpolation


class Jitter(Strict):
    """Colour jitter: factors drawn from [1 - x, 1 + x], in a drawn order; hue is a share of the circle."""

    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    probability: Fraction = 1.0


class RandAugment(Strict):
    """RandAugment as timm writes it: `layers` operations, each applied with `probability`, at magnitude + N(0, std)."""

    layers: Annotated[int, Field(ge=1, le=LAYERS)]
    magnitude: Annotated[float, Field(ge=0.0, le=10.0)]
    std: Amount
    probability: Fraction
    increasing: bool
    """`inc1`: every operation grows stronger with the magnitude."""


class Erase(Strict):
    """Random erasing of a box with pixel noise, in image space, so that teacher and student see the same noise."""

    probability: Fraction
    area: Shares
    ratio: Ratios


class Mix(Strict):
    """Mixup and CutMix with a partner from a seeded permutation of the dataset.

    An alpha of 0 turns that kind off; `switch` is the chance of CutMix when both are on.
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
    """Colour under transparent pixels of the image."""

    @property
    def depends_on(self) -> frozenset[Literal["seed", "row"]]:
        """What a view depends on beside the image, its id and the number of the view: a partner is found by the row."""
        return frozenset({"seed"}) if self.mix is None else frozenset({"seed", "row"})


class Foreign(Strict):
    """Views that another project rendered and only it can render again.

    Such a cache keeps the teacher's signals for them, and the project's seeds where it has any; kd can neither draw nor replay
    these views. Their pixel digests are unknown and stored as 0.
    """

    kind: Literal["foreign"] = "foreign"
    project: Literal["tinyvit"]
    keys: Literal["id", "stem", "index"]
    """How the other project names an image: by its id, by its file name without the ending, or by its row."""
    epochs: tuple[int, ...]
    """Epoch each view was imported from, by view number."""

    @property
    def depends_on(self) -> frozenset[Literal["seed", "row"]]:
        """What a view depends on beside the image, its id and the number of the view: nobody here knows."""
        return frozenset({"seed", "row"})


ViewRecipe = Annotated[Plain | Augment | Foreign, Field(discriminator="kind")]
Drawable = TypeVar("Drawable", Plain, Augment)


def on(recipe: Drawable, background: str | None) -> Drawable:
    """The same recipe with another background; None keeps its own. UsageError when it is none."""
    if background is None:
        return recipe
    try:
        return recipe.model_copy(update={"background": canonical(background)})
    except ValueError as error:
        raise UsageError(f"the background {background!r} is not one kd knows", hint=f"one of {FORMS}") from error


def drawable(recipe: Plain | Augment | Foreign) -> Plain | Augment:
    """The recipe, when kd can render it; UsageError for views of another project."""
    if isinstance(recipe, Foreign):
        message = f"these views were rendered by {recipe.project}, and only it can render them again"
        raise UsageError(message, hint="such a cache can be read and exported; build one to train or replay")
    return recipe
