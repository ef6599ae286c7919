"""A training recipe: every setting of a training except the data. Presets are configs/recipes/*.yaml, with their sources."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from kdcache.base.strict import Strict
from kdcache.views.recipe import Amount, Fraction, Positive
from students.base.contracts import Needs
from students.base.objective import Constraint, Objective
from students.base.types import Count, DropPath, Images, Passes, Precision, Side
from students.base.validation import Judged
from students.constraints.frozen_norms import FrozenNorms
from students.constraints.registry import AnyConstraint
from students.objectives.labels import Labels
from students.objectives.registry import AnyObjective

Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
"""Name of an objective in logs, charts and checkpoints, and in `--set objectives.NAME.KEY=VALUE`."""
MOST = 16
"""Largest number of objectives, and of constraints, in a recipe."""


class Optimiser(Strict):
    """AdamW, or Muon for the matrices and AdamW for all else, with a linear warm-up and a cosine decay."""

    rate: Positive
    """Peak learning rate at the recipe's own batch size; with `matrix_rate`, that of AdamW."""
    matrix_rate: Positive | None = None
    """Peak learning rate of Muon, which trains the weights of linear layers other than the classifier in fewer steps than AdamW;
    None: AdamW trains them as well."""
    decay: Amount
    """Weight decay of matrices; vectors, biases and attention biases have none."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: Positive = 1e-8
    clip: Positive | None = None
    """Largest norm of the gradient; None: it is not clipped."""
    warmup: Amount = 0.0
    """Length of the warm-up, in epochs."""
    warmup_share: Fraction = 0.0
    """Length of the warm-up as a fraction of all steps, when `warmup` is 0."""
    first_rate: Amount = 0.0
    """Learning rate at the start of the warm-up."""
    last_rate: Amount = 0.0
    """Learning rate at the end of the cosine."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Ratio of a layer's learning rate to that of the next layer towards the head."""

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A field added after the first release is written only where it is used."""
        return {name: value for name, value in write(self).items() if name != "matrix_rate" or value is not None}

    def scaled(self, factor: float) -> "Optimiser":
        """The same optimiser with all learning rates multiplied."""
        rates = {name: getattr(self, name) for name in ("rate", "matrix_rate", "first_rate", "last_rate")}
        return self.model_copy(update={name: rate * factor for name, rate in rates.items() if rate is not None})


class Recipe(Strict):
    """How a student is trained."""

    epochs: Passes | None = None
    """Number of passes over the images, fractions allowed; None if `steps` is given."""
    steps: Count | None = None
    """Number of steps; None if `epochs` is given."""
    batch: Images
    """Images in a step, over all processes and micro-batches together."""
    input: Side | None = None
    """Side length of the student's input, in pixels; None: as in the student's preset."""
    objective: AnyObjective = Labels()
    """The only objective, when `objectives` is empty."""
    objectives: Annotated[dict[Key, AnyObjective], Field(max_length=MOST)] = {}
    """Several objectives by name, each with its weight, in place of `objective`."""
    optimiser: Optimiser
    drop_path: DropPath | dict[str, DropPath] | None = None
    """Stochastic depth rate, for all students or by student preset; None: as in the student's preset."""
    average: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Decay of the running average of the weights, which is evaluated and exported; None: no average is kept."""
    frozen_norms: bool = False
    """Whether BatchNorm keeps its initial statistics: the same as a constraint of the kind `frozen-norms`."""
    constraints: Annotated[tuple[AnyConstraint, ...], Field(max_length=MOST)] = ()
    """Conditions on the weights that are enforced during training, such as a pruning mask."""
    precision: Precision | Literal["fastest"] = "bfloat16"
    """Autocast precision; losses and softmax are always float32. `fastest`: bfloat16 where the device computes with it, else
    float32; a run records which."""
    views: str | None = None
    """Preset in configs/views for images that have no cache."""
    judge: Judged = Judged()
    patience: Count | None = None
    """Number of validations without improvement after which training stops early; None: it never does."""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("a recipe has either epochs or steps, and not both")
        return self

    @model_validator(mode="after")
    def _has_one_or_several(self) -> Self:
        if self.objectives and "objective" in self.model_fields_set:
            names = ", ".join(self.objectives)
            raise ValueError(
                f"it has both `objective` and `objectives` ({names}): leave one out, or change one of several with "
                f"--set objectives.{next(iter(self.objectives))}.KEY=VALUE"
            )
        return self

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if not any(objective.weight for objective in self.losses.values()):
            raise ValueError("all objectives have weight 0: nothing would be learnt")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields added after the first release are written only where they are used."""
        unused = ["objective" if self.objectives else "objectives", *([] if self.constraints else ["constraints"])]
        return {name: value for name, value in write(self).items() if name not in unused}

    @property
    def losses(self) -> Mapping[str, Objective]:
        """All objectives by name, in the order in which losses are summed; a single one is named after its kind."""
        return self.objectives or {self.objective.kind: self.objective}

    @property
    def all_constraints(self) -> tuple[Constraint, ...]:
        """All constraints in order, frozen norms first."""
        return (FrozenNorms(), *self.constraints) if self.frozen_norms else self.constraints

    @property
    def freezes_norms(self) -> bool:
        """Whether BatchNorm keeps its statistics."""
        return any(constraint.freezes_norms for constraint in self.all_constraints)

    @property
    def needs(self) -> Needs:
        """What all objectives together need."""
        return reduce(or_, (objective.needs() for objective in self.losses.values()))

    def setting(self, name: str) -> str:
        """Position of an objective in this recipe, as in `--set SETTING.KEY=VALUE`."""
        return f"objectives.{name}" if self.objectives else "objective"

    def without_teacher(self) -> "Recipe | None":
        """The same recipe for training without a teacher; None where nothing would be learnt."""
        return self._reduced({name: its.without_teacher() for name, its in self.losses.items()})

    def without_classes(self) -> "Recipe | None":
        """The same recipe for images without true classes; None where nothing would be learnt."""
        return self._reduced({name: its.without_classes() for name, its in self.losses.items()})

    def _reduced(self, losses: Mapping[str, Objective | None]) -> "Recipe | None":
        """The same recipe with what is left of its objectives."""
        left = {name: bare for name, bare in losses.items() if bare is not None and bare.weight}
        if not left:
            return None
        update = {"objectives": left} if self.objectives else {"objective": next(iter(left.values()))}
        return self.model_copy(update=update)

    def drop_path_of(self, student: str) -> float | None:
        """The stochastic depth of a student; None: its preset's."""
        return self.drop_path.get(student) if isinstance(self.drop_path, dict) else self.drop_path

    def with_batch(self, batch: int) -> "Recipe":
        """The same recipe with another batch: learning rates scale in proportion, as in the papers."""
        return self.model_copy(update={"batch": batch, "optimiser": self.optimiser.scaled(batch / self.batch)})
