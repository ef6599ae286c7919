"""The record of a run, run.json: everything that determines its result."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kdcache.base.strict import Strict
from kdcache.signals.teacher import TeacherSpec
from kdcache.store.plan import Dataset, ViewPlan
from students.base.contracts import Needs
from students.families.registry import AnyStudent, family_of
from students.options import StreamMode
from students.recipe import Recipe
from students.runs.metrics import MOST_STEPS
from students.runs.validation import TruthDigests, ValidationSet

FORMAT = 1


class CacheRecord(Strict):
    """The cache a student was trained from."""

    path: str
    identity: str
    teacher: TeacherSpec
    signals: dict[str, str]
    """Signal -> codec."""


Count = Annotated[int, Field(ge=1, le=MOST_STEPS)]


class Pacing(Strict):
    """How a training is cut into steps. It is recorded because sums over other pieces differ in the last bits."""

    steps: Count
    steps_an_epoch: Count
    micro: Count
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
    val: Dataset | None = None
    """Validation images, if they are a single unnamed set."""
    sets: tuple[ValidationSet, ...] = ()
    """Validation sets, if they have names."""
    started_from: str | None = None
    """Weights file the training started from, with its digest."""
    truths: TruthDigests = {}
    """Truth column that was learnt from -> digest of its values for all images. Classes are not among them: they are
    part of the images or of the cache."""
    rejected: int = 0
    """Number of images the cache could not read, in the view with the most of them."""
    new_head: bool = False
    """Whether the classifier started from random weights."""
    head_rows: str | None = None
    """File of the old classifier's rows that the new one started from."""
    pacing: Pacing
    processes: Count = 1
    versions: dict[str, str]

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
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields added after the first release are written only where they are used."""
        return {name: value for name, value in write(self).items() if name not in ("sets", "truths") or value}
