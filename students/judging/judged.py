"""Networks that can be judged: a student or a teacher. Both compute a head's output for uint8 views.

Input: a network and its specification, or an open teacher. Output: a `Judged`, through which every task uses either.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kdcache.errors import UsageError
from kdcache.views.recipe import Plain
from students.base.types import Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from kdcache.teachers.teacher import Teacher
    from students.families.spec import StudentSpec

EMBEDDING = "embedding"
HeadCall = Callable[..., "Tensor"]
"""Function from uint8 views (rows, height, width, 3), and whatever else the head takes, to its output, one row each."""


class Sees(Protocol):
    """Name, input and classes of a network that is judged."""

    @property
    def name(self) -> str:
        """Name of the network."""

    @property
    def input(self) -> tuple[int, int]:
        """Height and width of its input, in pixels."""

    @property
    def geometry(self) -> Plain:
        """How an image is resized to the input."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes in the order of its logits; empty if there is no classifier."""


class Judged(Protocol):
    """A student or a teacher that is judged."""

    @property
    def spec(self) -> Sees:
        """Input and classes."""

    @property
    def device(self) -> str:
        """Name of the torch device it is on."""

    @property
    def precision(self) -> Precision:
        """Autocast precision of its forward passes."""

    @property
    def batch(self) -> int:
        """Number of images in a batch."""

    def ask(self, head: str) -> HeadCall:
        """A function that computes one of its heads, without gradients, in `precision`."""

    def at_rest(self) -> AbstractContextManager[None]:
        """Context in which the network is in eval mode; afterwards its previous modes are restored."""


@dataclass(frozen=True)
class JudgedStudent:
    """A student on a device."""

    network: "nn.Module"
    spec: "StudentSpec"
    device: str
    precision: Precision
    batch: int

    def ask(self, head: str) -> HeadCall:
        """A function that normalises views as the student's specification says and computes a head."""
        import torch

        from kdcache.networks.pixels import autocast
        from students.families.registry import head_of
        from students.judging.network import normalised

        call = head_of(self.spec, self.network, head)

        def output(pixels: "NDArray[np.uint8]", *inputs: Any) -> "Tensor":
            with torch.inference_mode(), autocast(torch.device(self.device), self.precision):
                given: Tensor = call(normalised(pixels, self.spec, self.device), *inputs)
            return given

        return output

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Context in which the network is in eval mode; afterwards training can go on."""
        from students.judging.network import at_rest

        with at_rest(self.network):
            yield


@dataclass(frozen=True)
class TeacherSpec:
    """Input and classes of a teacher."""

    name: str
    input: tuple[int, int]
    geometry: Plain
    classes: tuple[str, ...]


class JudgedTeacher:
    """A frozen teacher; its heads are the signals it was opened with."""

    def __init__(self, teacher: "Teacher", device: str, batch: int) -> None:
        spec = teacher.spec
        sees, over = spec.preprocess, next((signal for signal in spec.signals if signal.names_classes), None)
        names = spec.classes or (() if over is None else tuple(f"class {n}" for n in range(over.size)))
        self._teacher = teacher
        self.spec = TeacherSpec(f"{spec.family} {spec.size}", sees.size, sees.geometry, names)
        self.device, self.batch = device, batch
        self.precision: Precision = spec.precision  # type: ignore[assignment]  # checked when the options were read

    def ask(self, head: str) -> HeadCall:
        """A function that computes a signal; the teacher normalises the views itself."""
        import torch

        from kdcache.signals.shown import Shown

        def output(pixels: "NDArray[np.uint8]", *inputs: Any) -> "Tensor":
            if inputs:
                raise UsageError(
                    f"{self.spec.name} is shown images alone, and the task gives its head {head} truths of them, too",
                    hint="judge a student by this task: kd eval RUN",
                )
            given: Tensor = self._teacher.emit(Shown(torch.from_numpy(pixels)))[head]
            return given

        return output

    def at_rest(self) -> AbstractContextManager[None]:
        """Nothing to do: a teacher is always in eval mode."""
        return nullcontext()


def head_names(spec: "StudentSpec") -> tuple[str, ...]:
    """Names of a student's heads, found on torch's meta device without allocating its weights."""
    import torch

    from students.families.registry import build_student, heads

    with torch.device("meta"):
        return tuple(heads(spec, build_student(spec)))


def default_task(spec: "StudentSpec") -> str:
    """Name of the task by which a student is judged by default."""
    from students.families.registry import family_of

    return family_of(spec).defaults.task


def check_head(name: str, heads: tuple[str, ...], task: Any, others: list[str], way: str | None = None) -> None:
    """Raises UsageError if a student or teacher does not have the head that a task needs.

    `others`: tasks it can be judged by; `way`: the command that trains the head, if there is one.
    """
    if task.head not in heads:
        raise UsageError(
            f"{name} has no head {task.head}, which the task {task.name} needs",
            hint=way or (f"--task {' or '.join(others)}" if others else "judge another student"),
        )
