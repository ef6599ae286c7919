"""What a family of students, an objective, a constraint and an exporter must be able to do; a task: task.py.

Each is one folder or file: `students/families/NAME/`, `students/objectives/NAME.py`, `students/constraints/NAME.py`,
`students/tasks/NAME.py`, `students/export/NAME.py`. Other packages bring theirs as one `Plugin` under the entry point group
`kd.students`. Nothing outside such a folder asks which one it has; a training step is the same for all of them:

    output = trained(**family.batch(pixels, signals, truths, spec))                    # {name: tensor}
    losses = {name: objective.losses(output, signals, truths, module) for name, objective in recipe.losses.items()}

torch is imported by those who implement these, never here: a command that only lists students need not wait for it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from kdcache.base.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdcache.signals.teacher import TeacherSpec

S = TypeVar("S", bound=Strict)
R = TypeVar("R", bound=Strict)
Tensors = dict[str, Any]
"""Tensors by name. They are torch's, but torch is not needed to pass them on."""


@dataclass(frozen=True)
class Needs:
    """What must be at hand. It is data: checked before a file is opened, shown by `kd student show`."""

    signals: tuple[str, ...] = ()
    """Signals that must be stored, or emitted by a connected teacher."""
    optional: tuple[str, ...] = ()
    """Signals that are used where they are stored (data2vec's `inputs`)."""
    truths: tuple[str, ...] = ()
    """Truth columns of the images, such as `class`."""
    outputs: tuple[str, ...] = ()
    """What the student's network must give, such as `logits` or `embedding` (`Family.outputs`)."""
    classes: bool = False
    """Whether the student must name classes."""
    instead_of_pixels: tuple[str, ...] = ()
    """Of a family: signals that stand for the pixels. Where one of them is at hand, no image is rendered for the student."""
    teacher: bool = False
    """Of a family: whether a new student takes over weights of its teacher (`Family.start`), so that it must have one."""

    def __or__(self, other: "Needs") -> "Needs":
        """Both together, each name once."""

        def both(name: str) -> Any:
            ours, theirs = getattr(self, name), getattr(other, name)
            return ours or theirs if isinstance(ours, bool) else tuple(dict.fromkeys((*ours, *theirs)))

        return Needs(**{each.name: both(each.name) for each in fields(self)})

    def pixels(self, signals: Iterable[str]) -> bool:
        """Whether images must be rendered for the student where these signals are at hand."""
        return not set(self.instead_of_pixels) & set(signals)

    def plain(self) -> dict[str, Any]:
        """As JSON has it, without what is not needed."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }


@dataclass(frozen=True)
class Defaults:
    """What is used where nobody says."""

    task: str
    """The task a student of this family is judged by."""
    teacher: str
    """The teacher that a hint names: `kd cache build --teacher …`."""
    signals: tuple[str, ...]
    """The signals such a cache keeps."""


class Group(NamedTuple):
    """One trainable parameter and how the optimiser treats it."""

    name: str
    parameter: "nn.Parameter"
    layer: int
    """0 at the input; a layer-wise decay of the rate counts from the last one."""
    decays: bool
    """False for what weight decay leaves alone: vectors, biases."""


@dataclass(frozen=True)
class Head:
    """Something a task or an exporter can ask of a student that is in eval mode."""

    call: "Callable[..., Tensor]"
    """From normalised pixels (batch, 3, height, width)."""
    description: str
    """A few words for `kd teacher show run:RUN`. Caches of the run keep them: one made with other words is refused."""
    signal: bool = True
    """Whether a cache can keep what it gives as a signal: one array an image."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """What the student makes of these pixels."""
        return self.call(*inputs, **options)


class Adopted(NamedTuple):
    """Somebody's tensors under our names and in our shapes."""

    tensors: Tensors
    layout: str
    """The layout they came in: `timm`, `published`, `own`."""
    changed: tuple[str, ...]
    """Names of the tensors that were interpolated to another input size."""


@dataclass(frozen=True)
class Request:
    """What is known when a preset becomes a student."""

    name: str
    """The preset's name, which the student keeps."""
    classes: tuple[str, ...]
    """Class names of the images or of the teacher, in order; empty where nobody names any."""
    size: int | None = None
    """Side length of the student's input, in pixels; None: the preset's."""
    drop_path: float | None = None
    """Stochastic depth; None: the preset's."""
    background: str | None = None
    """What lies under transparent pixels in the views it learns from; None: white."""
    weights: str | None = None
    """File of weights it begins with; None where it begins with a run (`before` is that run's student) or with none."""


class Family(Protocol[S]):
    """One kind of student. `S` is its own record, kept in run.json and told apart by its field `family`.

    A family is one folder, `students/families/NAME/`, whose `__init__.py` declares it as FAMILY. kd itself asks for no more than
    this; an exporter may ask for more of the families that list it (`students/export/timm.py`: `timm_config`).
    """

    name: str
    description: str
    """One line for `kd student list`."""

    @property
    def preset(self) -> type[Strict]:
        """The record of a file of configs/students: a subclass of `students.families.preset.Preset`."""

    spec: type[S]
    """A subclass of `students.families.spec.StudentSpec`, which also describes the student in words."""
    defaults: Defaults
    classifier: str | None
    """Its classifier's tensors are CLASSIFIER.weight and CLASSIFIER.bias, one row a class; None: it has no classifier."""
    exports: Mapping[str, str]
    """Format -> `module:function`, imported when that format is asked for. The function takes a run and a folder."""

    def resolve(self, preset: Any, request: Request, before: S | None) -> S:
        """The student of a preset for these classes and this size. `before`: the student of the run it begins with.

        UsageError or Mismatch where the family cannot make it, or where the weights it begins with would mean something else.
        """

    def check_batch(self, spec: S, batch: int, micro: int) -> None:
        """Mismatch where a step of `batch` images cannot be trained in pieces of `micro`, norms being trained."""

    def needs(self, spec: S) -> Needs:
        """What it needs beside what the objectives need."""

    def outputs(self, spec: S) -> tuple[str, ...]:
        """Everything its network can give to an objective: `logits`, `embedding`, `layers` …

        A vector is (examples, channels); a map is (examples, tokens, channels), or (examples, channels, height, width) where its
        tokens lie on a grid; several layers are a list of maps.
        """

    def build(self, spec: S) -> "nn.Module":
        """The network, random weights from torch's global generator. Its state dict is what a run keeps and exports."""

    def trained(self, network: "nn.Module", spec: S, outputs: frozenset[str]) -> "nn.Module":
        """The module a training step calls: `forward(**batch)` gives {output: tensor} of exactly the outputs asked for.

        It may wrap `network`, whose parameters it shares; the wrapper's own state is never kept. An attribute `uses_all` that is
        True promises that every trained parameter takes part in these outputs, which spares a search for those that do not where
        gradients are averaged over processes.
        """

    def start(self, network: "nn.Module", spec: S, teacher: "TeacherSpec", weights: str | None) -> None:
        """Fill what a new student takes over from its teacher, whose file may lie at `weights` now."""

    def check_shared(self, network: "nn.Module", spec: S, teacher: "TeacherSpec", weights: str | None) -> None:
        """Mismatch where a student that has learnt already shares something with another teacher than this one."""

    def adopt(self, tensors: Mapping[str, Any], network: "nn.Module", spec: S) -> Adopted:
        """Other people's names and shapes turned into ours. What is no float, or nobody's, is passed on and refused later."""

    def batch(
        self, pixels: "Tensor | None", signals: Mapping[str, Any], truths: Mapping[str, Any], spec: S
    ) -> dict[str, Any]:
        """Arguments of `trained`. `pixels`: normalised (rows, 3, height, width); None where `needs` spares them."""

    def heads(self, network: Any, spec: S) -> Mapping[str, Head]:
        """What a finished student can be asked for: `logits`, `embedding`, `generate` … The first is what it is for."""

    def traced(self, network: Any, spec: S, head: str) -> "nn.Module":
        """A head as a module from pixels to one tensor, with nothing in it that an exporter could not follow.

        The network may be changed by it: it is not used for anything else afterwards.
        """

    def groups(self, network: Any, spec: S) -> Iterable[Group]:
        """Every parameter that is trained, once, in the order of `network.named_parameters()`."""


class Exporter(Protocol):
    """Writes a run's student for another program."""

    def __call__(self, run: Any, out: Path) -> Any:
        """Write it into the folder `out`, which holds no other student; gives the files and what was measured."""
