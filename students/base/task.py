"""The contract of a task, which judges a student: one file or folder each. Its report is shown in the same way everywhere.

    settings = settings_of(task, given)                      students/judging/registry.py
    task.check(student, examples, settings)                  refuses before anything is rendered
    report = task.judge(student, examples, settings, progress)
    task.measure.text(task.score(report)); task.show(report)

`student` is a `Judged` (students/judging/judged.py): a run's student, one that is being trained, or a teacher. `examples` is an
`Examples` (students/judging/examples.py): the images, and those a task compares them with, rendered by worker pools.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kdcache.base.strict import Strict
from students.base.contracts import R

if TYPE_CHECKING:
    from kdcache.base.progress import Progress


class Measure(NamedTuple):
    """Name and unit of a task's score. The score selects the best weights and is shown in the table of a comparison."""

    name: str
    """Name of the score in tables, such as `top-1` or `ANLS`."""
    percent: bool = True
    """Whether the score is a fraction of 1 that is printed in per cent."""
    higher_is_better: bool = True

    def text(self, value: float, digits: int = 1) -> str:
        """A score as text; `digits`: decimals of a percentage."""
        return f"{value:.{digits}%}" if self.percent else f"{value:.4g}"

    def better(self, value: float, than: float) -> bool:
        """Whether one score is better than another."""
        return value > than if self.higher_is_better else value < than


@dataclass(frozen=True)
class Table:
    """A table with headings."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    numbers: tuple[int, ...] = ()
    """Indices of the columns that hold numbers, which are right-aligned."""


@dataclass(frozen=True)
class Bar:
    """One bar of a chart of shares."""

    height: float
    """Height of the bar as a fraction of the chart's height, from 0 to 1."""
    weight: float
    """Opacity of the bar, from 0 to 1."""
    remark: str
    """Text that is shown when the pointer rests on the bar."""


@dataclass(frozen=True)
class BarChart:
    """Bars of equal width over an axis from 0 % to 100 %; a bar of weight 0 is not drawn."""

    title: str
    bars: tuple[Bar, ...]
    axis: str
    """Label of the horizontal axis."""
    note: str = ""
    diagonal: bool = False
    """Whether a line from 0 % to 100 % is drawn, on which bars should end."""


@dataclass(frozen=True)
class Shown:
    """A report ready to be shown: the terminal and the HTML page print this and nothing else."""

    title: str
    pairs: tuple[tuple[str, str], ...]
    """Lines of (name, value), the most important first."""
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    """Tables that are shown on a page and left out on a terminal."""
    charts: tuple[BarChart, ...] = ()
    """Charts that are drawn on a page."""
    warnings: tuple[str, ...] = ()
    """Sentences about images that were left out, and why."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Image id -> why it could not be read; if there are any, the command ends with exit code 3."""


class Task(Protocol[R]):
    """Judges a student or a teacher on labelled images."""

    name: str
    description: str
    """One line for the help of `kd eval`."""
    settings: type[Strict]
    """Record of the task's settings, read from configs/tasks/NAME.yaml if there is one and from `--set KEY=VALUE`."""
    report: type[R]
    """Strict record of the result. Its field `task: Literal[name]` identifies the task when a stored report is read."""
    head: str
    """Name of the student's head that the task calls (`Family.heads`)."""
    truths: tuple[str, ...]
    """Truth columns the images must have. Images of unknown class are left out where `class` is among them. Of others,
    `examples.images.truths.read(names, rows)` reads those of a batch; `look_at_items` goes by their items."""
    measure: Measure
    """Name and unit of the score."""
    curves: Mapping[str, str]
    """Keys of `numbers` that the report draws over the steps of a training -> name of each curve."""

    def check(self, student: Any, examples: Any, settings: Any) -> None:
        """Raises UsageError or Mismatch if these images do not fit. Only `student.spec` is there: nothing is computed."""

    def judge(self, student: Any, examples: Any, settings: Any, progress: "Progress") -> R:
        """Judge the student. The same student, examples and settings give the same report, except for `seconds`."""

    def score(self, report: R) -> float:
        """The score of a report, in the unit of `measure`."""

    def numbers(self, report: R) -> dict[str, float]:
        """Numbers that are written to a line of metrics.jsonl in addition to the score."""

    def subject(self, report: R) -> dict[str, Any]:
        """What a report is about; a later report with an equal subject replaces it. The key `data` names the images."""

    def show(self, report: R) -> Shown:
        """The report, ready to be shown."""
