"""The contracts of student families and exporters; those of objectives and constraints are in objective.py, of tasks in task.py.

Each is one folder or file: `students/families/NAME/`, `students/objectives/NAME.py`, `students/constraints/NAME.py`,
`students/tasks/NAME.py`, `students/export/NAME.py`. Other packages bring theirs as one `Plugin` under the entry point group
`kd.students`. Nothing outside such a folder depends on which one it has; a training step is the same for all of them:

    output = trained(**family.batch(pixels, signals, truths, spec))                    # {name: tensor}
    losses = {name: objective.losses(output, signals, truths, module) for name, objective in recipe.losses.items()}

The implementations import torch; this module does not, so that a command that only lists students starts fast.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from kdcache.base.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdcache.signals.teacher import TeacherSpec
    from kdcache.views.recipe import Plain

S = TypeVar("S", bound=Strict)
R = TypeVar("R", bound=Strict)
Tensors = dict[str, Any]
"""Tensors by name. The values are torch tensors, typed Any so that this module need not import torch."""


@dataclass(frozen=True)
class Needs:
    """What a family or an objective requires, as data: checked before a file is opened, shown by `kd student show`."""

    signals: tuple[str, ...] = ()
    """Signals that must be stored, or emitted by a connected teacher."""
    optional: tuple[str, ...] = ()
    """Signals that are used if they are stored (data2vec's `inputs`), but not required."""
    truths: tuple[str, ...] = ()
    """Truth columns of the images, such as `class` or `text`. An example gets the value of its image."""
    items: tuple[str, ...] = ()
    """Truth column whose items are the examples, such as `questions`: an image is trained on once for each of them, and
    an example gets its own item. One at most."""
    outputs: tuple[str, ...] = ()
    """Outputs that the student's network must have, such as `logits` or `embedding` (`Family.outputs`)."""
    classes: bool = False
    """Whether the student must have a classifier over named classes."""
    instead_of_pixels: tuple[str, ...] = ()
    """For a family: signals that replace the pixels. If one of them is available, no image is rendered for the
    student."""
    teacher: bool = False
    """For a family: whether a new student copies weights from its teacher (`Family.start`) and therefore must have
    one."""

    def __or__(self, other: "Needs") -> "Needs":
        """The union of both, each name once."""

        def both(name: str) -> Any:
            ours, theirs = getattr(self, name), getattr(other, name)
            return ours or theirs if isinstance(ours, bool) else tuple(dict.fromkeys((*ours, *theirs)))

        return Needs(**{each.name: both(each.name) for each in fields(self)})

    @property
    def columns(self) -> tuple[str, ...]:
        """All truth columns that are needed, whole or item by item."""
        return tuple(dict.fromkeys((*self.truths, *self.items)))

    def pixels(self, signals: Iterable[str]) -> bool:
        """Whether images must be rendered for the student when these signals are available."""
        return not set(self.instead_of_pixels) & set(signals)

    def plain(self) -> dict[str, Any]:
        """The requirements as JSON values, without empty ones."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }


@dataclass(frozen=True)
class Defaults:
    """Defaults for students of a family."""

    task: str
    """Task that judges a student of this family by default."""
    teacher: str
    """Teacher that hints suggest: `kd cache build --teacher …`."""
    signals: tuple[str, ...]
    """Signals that a cache for this family usually keeps."""


class Group(NamedTuple):
    """One trainable parameter and how the optimiser treats it."""

    name: str
    parameter: "nn.Parameter"
    layer: int
    """Depth of the layer the parameter belongs to, 0 at the input; layer-wise rate decay counts from the last one."""
    decays: bool
    """Whether weight decay applies; False for vectors and biases."""


@dataclass(frozen=True)
class Head:
    """A function of a student in eval mode that tasks and exporters call."""

    call: "Callable[..., Tensor]"
    """Function from normalised pixels (batch, 3, height, width) to the head's output. A head that is asked about images also
    takes truths, as `batch` does, and must do without them where only pixels are given."""
    description: str
    """A few words for `kd teacher show run:RUN`. Caches of the run record them: a cache recorded with other words is
    refused."""
    signal: bool = True
    """Whether a cache can store the output as a signal: one array per image."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """The output for these pixels."""
        return self.call(*inputs, **options)


class Adopted(NamedTuple):
    """Tensors of a foreign weights file, renamed and reshaped to ours."""

    tensors: Tensors
    layout: str
    """Layout the tensors were in: `timm`, `published` or `own`."""
    changed: tuple[str, ...]
    """Names of the tensors that were interpolated to another input size."""


@dataclass(frozen=True)
class Request:
    """Everything a family needs to turn a preset into a student."""

    name: str
    """Name of the preset, which becomes the student's name."""
    classes: tuple[str, ...]
    """Class names of the images or of the teacher, in order; empty where there are none."""
    size: int | None = None
    """Side length of the student's input, in pixels; None: as in the preset."""
    drop_path: float | None = None
    """Stochastic depth rate; None: as in the preset."""
    background: str | None = None
    """Colour under transparent pixels in the views the student is trained on; None: white."""
    geometry: "Plain | None" = None
    """How images are resized in the views the student is trained on, if these are not augmented: it is judged and
    exported with the same geometry. None: the preset's."""
    weights: str | None = None
    """Weights file the student starts from; None if it starts from a run (`before` is then that run's student) or
    from random weights."""


class Family(Protocol[S]):
    """One kind of student. `S` is its own record, kept in run.json and identified by its field `family`.

    A family is one folder, `students/families/NAME/`, whose `__init__.py` declares it as FAMILY. kd itself calls nothing
    else; an exporter may call more on the families that list it (`students/export/timm.py`: `timm_config`).
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
    """Prefix of the classifier's tensors, PREFIX.weight and PREFIX.bias, one row per class; None: there is no
    classifier."""
    exports: Mapping[str, str]
    """Format -> `module:function`, imported when that format is requested. The function takes a run and a folder."""

    def resolve(self, preset: Any, request: Request, before: S | None) -> S:
        """The student of a preset for these classes and this size. `before`: the student of the run it starts from.

        Raises UsageError or Mismatch if the family cannot make it, or if the weights it starts from do not fit.
        """

    def check_batch(self, spec: S, batch: int, micro: int) -> None:
        """Raises Mismatch if norms cannot be trained on `batch` images in pieces of `micro`, as on a piece of one image."""

    def needs(self, spec: S) -> Needs:
        """Its own requirements, in addition to those of the objectives."""

    def outputs(self, spec: S) -> tuple[str, ...]:
        """Everything its network can give to an objective: `logits`, `embedding`, `layers` …

        A vector is (examples, channels); a map is (examples, tokens, channels), or (examples, channels, height, width) where its
        tokens lie on a grid; several layers are a list of maps.
        """

    def build(self, spec: S) -> "nn.Module":
        """The network, random weights from torch's global generator. Its state dict is what a run keeps and exports."""

    def trained(self, network: "nn.Module", spec: S, outputs: frozenset[str]) -> "nn.Module":
        """The module a training step calls: `forward(**batch)` gives {output: tensor} of exactly these outputs.

        It may wrap `network`, whose parameters it shares; the wrapper's own state is never kept. An attribute `uses_all` that is
        True promises that every trained parameter takes part in these outputs, which spares a search for those that do not where
        gradients are averaged over processes.
        """

    def start(self, network: "nn.Module", spec: S, teacher: "TeacherSpec", weights: str | None) -> None:
        """Copy the weights a new student takes from its teacher; `weights`: location of the teacher's file, if it has moved."""

    def check_shared(self, network: "nn.Module", spec: S, teacher: "TeacherSpec", weights: str | None) -> None:
        """Raises Mismatch if a trained student shares weights with another teacher than this one."""

    def adopt(self, tensors: Mapping[str, Any], network: "nn.Module", spec: S) -> Adopted:
        """Rename and reshape tensors of a foreign file to ours. Integers and unknown names are passed on and refused later."""

    def batch(
        self, pixels: "Tensor | None", signals: Mapping[str, Any], truths: Mapping[str, Any], spec: S
    ) -> dict[str, Any]:
        """Arguments of `trained`. `pixels`: normalised (rows, 3, height, width); None if by `needs` none are rendered.

        `truths`: see students/base/truths.py. Signals and truths are empty when only the shapes of outputs are computed.
        """

    def heads(self, network: Any, spec: S) -> Mapping[str, Head]:
        """The heads of a trained student: `logits`, `embedding`, `generate` … The first is its main one."""

    def traced(self, network: Any, spec: S, head: str) -> "nn.Module":
        """A head as a module from pixels to one tensor, with only operations that an exporter can trace.

        The call may change the network, which is not used for anything else afterwards.
        """

    def groups(self, network: Any, spec: S) -> Iterable[Group]:
        """Every trained parameter, once, in the order of `network.named_parameters()`."""


class Exporter(Protocol):
    """Writes a run's student for another program."""

    def __call__(self, run: Any, out: Path) -> Any:
        """Write the student into the folder `out`, which holds no other student; returns the files and their measured error."""
