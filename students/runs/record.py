"""The record of a run, run.json: everything that determines its result."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kdcache.base.strict import Strict
from kdcache.store.plan import Dataset, ViewPlan
from students.base.contracts import Needs
from students.base.limits import BATCH
from students.base.types import Precision
from students.families.registry import AnyStudent, family_of
from students.options import StreamMode
from students.recipe import Recipe
from students.runs.caches import MOST_CACHES, CacheRecord
from students.runs.metrics import MOST_STEPS
from students.runs.validation import TruthDigests, ValidationSet

FORMAT = 1


Count = Annotated[int, Field(ge=1, le=MOST_STEPS)]


class Pacing(Strict):
    """How a training is cut into steps. It is recorded because sums over other pieces differ in the last bits."""

    steps: Count
    steps_an_epoch: Count
    micro: Annotated[int, Field(ge=1, le=BATCH)]
    """Images in a micro-batch, which goes through the network at once in one process."""
    views: tuple[int, ...] | None
    """Stored views that are used; None: all of them, or, without stored views, a new random one every epoch."""
    log_every: Count
    validate_every: Count
    keep_every: Count
    """Steps between checkpoints."""


class RunRecord(Strict):
    """Everything that determines the result of a run."""

    format: int = FORMAT
    kind: Literal["train", "finetune"]
    student: AnyStudent
    recipe: Recipe
    seed: int
    stream: StreamMode
    """Source of the signals: `off`: a cache; `on`: the teacher runs at every step; `none`: no teacher, true classes
    only."""
    dataset: Dataset
    views: ViewPlan
    """Plan of the views as the teacher was shown them, or, without a cache, as they are drawn."""
    cache: CacheRecord | None = None
    """The cache, if there is a single one."""
    caches: Annotated[tuple[CacheRecord, ...], Field(max_length=MOST_CACHES)] = ()
    """Caches of the same images, if there are several. The first one decides on rows, order and views."""
    val: Dataset | None = None
    """Validation images, if they are a single unnamed set."""
    sets: tuple[ValidationSet, ...] = ()
    """Validation sets, if they have names."""
    started_from: str | None = None
    """Weights file the training started from, with its digest."""
    truths: TruthDigests = {}
    """Truth column that was learnt from -> digest of its values for all images. Classes are not among them: they are
    part of the images or of the cache."""
    rejected: Annotated[int, Field(ge=0)] = 0
    """Number of images the cache could not read, in the view with the most of them."""
    new_head: bool = False
    """Whether the classifier started from random weights."""
    head_rows: str | None = None
    """File of the old classifier's rows that the new one started from."""
    pacing: Pacing
    processes: Count = 1
    versions: dict[str, str]

    @model_validator(mode="after")
    def _has_the_caches_of_its_stream(self) -> Self:
        names = [cache.name for cache in self.caches if cache.name is not None]
        if self.caches and (self.cache is not None or len(self.caches) == 1 or self.stream != "off"):
            raise ValueError("`caches` is for several caches that are read, without `cache` beside it")
        if bool(self.all_caches) == (self.stream == "none"):
            raise ValueError(f"stream {self.stream} {'reads a cache' if self.stream != 'none' else 'has no cache'}")
        if self.stream == "on" and self.cache is not None and self.cache.name is not None:
            raise ValueError(
                f"the cache is named {self.cache.name}, but signals of a running teacher have no such name"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"caches are named {', '.join(names)}: names must differ")
        return self

    @model_validator(mode="after")
    def _rejected_some_of_its_images(self) -> Self:
        if self.rejected > self.dataset.rows:
            raise ValueError(f"{self.rejected} images of {self.dataset.rows} were rejected")
        return self

    @model_validator(mode="after")
    def _has_a_precision(self) -> Self:
        if self.recipe.precision == "fastest":
            raise ValueError("its precision is `fastest`: a run records which that is")
        return self

    @property
    def precision(self) -> Precision:
        """Autocast precision of the training."""
        assert self.recipe.precision != "fastest", "checked when the record is made"
        return self.recipe.precision

    @property
    def all_caches(self) -> tuple[CacheRecord, ...]:
        """Every cache, also where there is a single one; none for a training without a teacher."""
        return self.caches if self.cache is None else (self.cache,)

    @property
    def micro(self) -> int:
        """Images that go through the network at once in one process: a micro-batch, at most its part of the batch."""
        return min(self.pacing.micro, max(1, self.recipe.batch // self.processes))

    @property
    def needs(self) -> Needs:
        """Everything the student and its recipe need."""
        return self.recipe.needs | family_of(self.student).needs(self.student)

    @property
    def validation(self) -> tuple[ValidationSet, ...]:
        """The validation sets, also where `val` is a single unnamed one."""
        if self.val is None:
            return self.sets
        judge = self.recipe.judge
        return (ValidationSet(data=self.val, task=judge.task, settings=judge.settings, bank_from=judge.bank),)

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields added after the first release are written only where they are used."""
        later = ("sets", "caches", "truths")
        return {name: value for name, value in write(self).items() if name not in later or value}
