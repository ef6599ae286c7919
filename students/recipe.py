"""A training recipe: every number of a training but the data. Presets are configs/recipes/*.yaml, with their sources."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from kdcache.base.strict import Strict
from kdcache.codecs.distribution import Tail
from kdcache.views.recipe import Amount, Positive, Share
from students.base.types import Count, Dense, DropPath, Images, Passes, Precision, Side
from students.base.validation import Judged


class SoftLabels(Strict):
    """What a student is asked to match: the teacher's classes, the true class, or both."""

    kind: Literal["labels"] = "labels"
    soft: Amount = 1.0
    """weight of the cross-entropy with the teacher's distribution"""
    hard: Amount = 0.0
    """weight of the cross-entropy with the true class"""
    temperature: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 1.0
    """of both sides; the soft part is multiplied by its square, so that its gradients keep their size"""
    tail: Tail = "uniform"
    """how what lies outside the stored classes is spread"""
    smoothing: Share = 0.0
    """of the true class"""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.soft == 0 and self.hard == 0:
            raise ValueError("soft and hard are both 0: nothing would be learnt")
        return self

    @property
    def signal(self) -> str | None:
        """What a teacher must say."""
        return "logits" if self.soft else None

    @property
    def truth(self) -> bool:
        """True when images must have labels."""
        return bool(self.hard)


class Match(Strict):
    """What a student of dense targets is asked to match."""

    kind: Literal["match"]
    signal: Dense
    """all tokens of the mean of the last layers, or the class token of each of them"""
    loss: Literal["mse", "cosine"]

    @property
    def truth(self) -> bool:
        """Images need no labels."""
        return False


def _kind(value: Any) -> str:
    """Of an objective, as it is written or as it was read; soft labels need not say it."""
    kind = value.get("kind", "labels") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind)


Objective = Annotated[Annotated[SoftLabels, Tag("labels")] | Annotated[Match, Tag("match")], Discriminator(_kind)]


class Optimiser(Strict):
    """AdamW with a straight warm-up and half a cosine."""

    rate: Positive
    """peak, at the recipe's own batch"""
    decay: Amount
    """weight decay of matrices; vectors, biases and attention biases have none"""
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8
    clip: Positive | None = None
    """largest length of the gradient"""
    warmup: Amount = 0.0
    """epochs"""
    warmup_share: Share = 0.0
    """of all steps, where it is not said in epochs"""
    first_rate: Amount = 0.0
    """where the warm-up starts"""
    last_rate: Amount = 0.0
    """where the cosine ends"""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """the rate of each layer as a share of that of the next one towards the head"""


class Recipe(Strict):
    """How a student is trained."""

    epochs: Passes | None = None
    """passes over the images; parts of one are allowed"""
    steps: Count | None = None
    """the same in steps"""
    batch: Images
    """images a step, over all processes and micro-batches together"""
    input: Side | None = None
    """height and width of what the student sees; left out: the student preset's"""
    objective: Objective = SoftLabels()
    optimiser: Optimiser
    drop_path: DropPath | dict[str, DropPath] | None = None
    """one for all, or one a student; left out: the student preset's"""
    average: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """decay of the running average of the weights that is evaluated and exported; left out: none is kept"""
    frozen_norms: bool = False
    """BatchNorm keeps the statistics it starts with"""
    precision: Precision = "bfloat16"
    """autocast; losses and softmax are float32 always"""
    views: str | None = None
    """views of images that have no cache: a configs/views preset"""
    judge: Judged = Judged()
    patience: Count | None = None
    """validations without a better one before the training stops early"""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("a recipe says either epochs or steps")
        return self

    def drop_path_of(self, student: str) -> float | None:
        """The stochastic depth of a student; None: its preset's."""
        return self.drop_path.get(student) if isinstance(self.drop_path, dict) else self.drop_path

    def with_batch(self, batch: int) -> "Recipe":
        """The same recipe with another batch: rates grow with it in proportion, as the papers' own do."""
        scale, ask = batch / self.batch, self.optimiser
        rates = {name: getattr(ask, name) * scale for name in ("rate", "first_rate", "last_rate")}
        return self.model_copy(update={"batch": batch, "optimiser": ask.model_copy(update=rates)})
