"""Who is judged: a student, or a teacher as if it were one. Both are shown uint8 views and asked for one of their heads.

Input: a network and its specification, or an open teacher. Output: a `Judged`, the same to every task.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kdcache.errors import UsageError
from kdcache.views.recipe import Plain
from students.base.types import LOGITS, Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from kdcache.teachers.teacher import Teacher
    from students.families.spec import StudentSpec

EMBEDDING = "embedding"
HeadCall = Callable[["NDArray[np.uint8]"], "Tensor"]
"""Views (rows, height, width, 3) -> what a head gives, a row each."""


class Sees(Protocol):
    """How images get to a network, and which classes it names."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def input(self) -> tuple[int, int]:
        """Height and width of what it sees, in pixels."""

    @property
    def geometry(self) -> Plain:
        """How an image gets to that size."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes in the order of its logits; empty where it names none."""


class Judged(Protocol):
    """A student or a teacher that is judged."""

    @property
    def spec(self) -> Sees:
        """How it sees."""

    @property
    def device(self) -> str:
        """Where it computes."""

    @property
    def precision(self) -> Precision:
        """In which precision."""

    @property
    def batch(self) -> int:
        """Images it sees at a time."""

    def ask(self, head: str) -> HeadCall:
        """What one of its heads gives, without gradients, in the precision it is judged in."""

    def at_rest(self) -> AbstractContextManager[None]:
        """Its network in eval mode; afterwards as it was."""


@dataclass(frozen=True)
class JudgedStudent:
    """A student, which is on `device`."""

    network: "nn.Module"
    spec: "StudentSpec"
    device: str
    precision: Precision
    batch: int

    def ask(self, head: str) -> HeadCall:
        """Through the student's own normalisation."""
        import torch

        from kdcache.networks.pixels import autocast
        from students.families.registry import head_of
        from students.judging.network import normalised

        speak = head_of(self.spec, self.network, head)

        def answer(pixels: "NDArray[np.uint8]") -> "Tensor":
            with torch.inference_mode(), autocast(torch.device(self.device), self.precision):
                given: Tensor = speak(normalised(pixels, self.spec, self.device))
            return given

        return answer

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Training may go on afterwards."""
        from students.judging.network import at_rest

        with at_rest(self.network):
            yield


@dataclass(frozen=True)
class TeacherSpec:
    """How a teacher sees."""

    name: str
    input: tuple[int, int]
    geometry: Plain
    classes: tuple[str, ...]


class JudgedTeacher:
    """A frozen teacher. Its heads are the signals it was opened with."""

    def __init__(self, teacher: "Teacher", device: str, batch: int) -> None:
        spec = teacher.spec
        sees, logits = spec.preprocess, next((s for s in spec.signals if s.name == LOGITS), None)
        names = spec.classes or (() if logits is None else tuple(f"class {n}" for n in range(logits.size)))
        self._teacher = teacher
        self.spec = TeacherSpec(f"{spec.family} {spec.size}", sees.size, sees.geometry, names)
        self.device, self.batch = device, batch
        self.precision: Precision = spec.precision  # type: ignore[assignment]  # checked when it was asked for

    def ask(self, head: str) -> HeadCall:
        """It normalises by itself."""
        import torch

        from kdcache.signals.shown import Shown

        return lambda pixels: self._teacher.emit(Shown(torch.from_numpy(pixels)))[head]

    def at_rest(self) -> AbstractContextManager[None]:
        """It always is."""
        return nullcontext()


def head_names(spec: "StudentSpec") -> tuple[str, ...]:
    """What a student may be asked for, known before its network is built: on shapes alone, nothing is computed."""
    import torch

    from students.families.registry import build_student, heads

    with torch.device("meta"):
        return tuple(heads(spec, build_student(spec)))


def default_task(spec: "StudentSpec") -> str:
    """The task a student is judged by where nobody names one."""
    from students.families.registry import family_of

    return family_of(spec).defaults.task


def check_head(name: str, heads: tuple[str, ...], task: Any, others: list[str]) -> None:
    """UsageError where a student or a teacher has not what a task asks. `others`: tasks it can be judged by."""
    if task.head not in heads:
        raise UsageError(
            f"{name} has no {task.head}, which the task {task.name} needs",
            hint=f"--task {' or '.join(others)}" if others else "judge another student",
        )
