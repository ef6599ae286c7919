"""What a student is judged on: one task is one file or folder, and its report is shown in one way everywhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kdcache.base.strict import Strict
from students.base.contracts import R

if TYPE_CHECKING:
    from kdcache.base.progress import Progress


class Score(NamedTuple):
    """The one number of a report that decides which weights are the best and stands in a table."""

    name: str
    """`top-1`, `ANLS`."""
    value: float
    percent: bool = True
    higher_is_better: bool = True

    @property
    def text(self) -> str:
        """As a reader sees it."""
        return f"{self.value:.1%}" if self.percent else f"{self.value:.4g}"


@dataclass(frozen=True)
class Table:
    """Rows under headings; columns of numbers stand to the right."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    numbers: tuple[int, ...] = ()
    """Columns that are numbers."""


@dataclass(frozen=True)
class Shown:
    """A report as every reader sees it: the terminal, the page and `kd compare` print this and nothing else."""

    title: str
    pairs: tuple[tuple[str, str], ...]
    """(name, value), the most important first."""
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    """What a page shows and a terminal leaves out."""
    charts: tuple[Any, ...] = ()
    """Drawings of a page (students/report/chart.py)."""
    warnings: tuple[str, ...] = ()
    """Images that count for nothing, and why."""
    incomplete: bool = False
    """Some images could not be read: the command ends with exit code 3."""


class Task(Protocol[R]):
    """What a student, or a teacher, is judged on."""

    name: str
    description: str
    """One line for the help of `kd eval`."""
    settings: type[Strict]
    """Its numbers and options: configs/tasks/NAME.yaml where there is one, `--set KEY=VALUE`."""
    report: type[R]
    """A strict record with `task: Literal[name]`, by which kept reports are told apart."""
    head: str
    """The head of a student it asks (`Family.heads`)."""
    truths: tuple[str, ...]
    """Truth columns the images must have."""

    def judge(self, student: Any, examples: Any, settings: Any, progress: "Progress") -> R:
        """Judge. `student` has `head(name)`, `spec`, `device`, `precision` and `batch`; `examples`: images."""

    def score(self, report: R) -> Score:
        """The number that decides."""

    def subject(self, report: R) -> dict[str, Any]:
        """What the report is about; of two about the same the later one is kept."""

    def show(self, report: R) -> Shown:
        """For readers."""
