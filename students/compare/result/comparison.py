"""Result of a comparison: the measurements of every arm, from which table, sentences and page are made."""

from kdcache.base.strict import Strict
from kdcache.signals.teacher import TeacherSpec
from students.base.task import Measure
from students.compare.arms import Arm
from students.compare.measuring.measure import Measured
from students.compare.result.built import Built
from students.compare.result.disturbed import Disturbed
from students.compare.result.sums import Workload
from students.compare.room import Room


class Comparison(Strict):
    """Everything a comparison measured."""

    arms: tuple[Arm, ...]
    measured: dict[str, tuple[Measured, ...]]
    """Arm -> its measurements, one per repeat."""
    disturbed: tuple[Disturbed, ...] = ()
    """Repeats that something disturbed, in the order in which they were measured again; they are not in `measured`."""
    built: dict[str, Built]
    """Cache name -> its size and build time."""
    caches: dict[str, str]
    """Arm -> name of its cache."""
    room: dict[str, Room]
    """Arm -> largest batch that fits on a device of the given memory; empty without `--memory`."""
    teacher: TeacherSpec
    student: str
    images: str
    image_bytes: int | None
    """Size of all images of the source on disk, in bytes; None if they are generated or remote."""
    batch: int
    steps: int
    metric: str
    """Name of the score."""
    percent: bool = True
    """Whether the score is a fraction of 1 that is printed in per cent."""
    higher_is_better: bool = True
    unjudged: str | None
    """Reason why there is no score; None if there is one."""
    recipe: str
    pixels: int
    """Side length of the student's input, in pixels."""
    device: str
    machine: str
    job: Workload
    """Training whose cost is computed: all images of the source, for the given epochs and students."""
    project: Workload | None
    recipe_epochs: float | None = None
    """Epochs of the recipe over all images of the source; None in comparisons of earlier versions."""

    @property
    def measure(self) -> Measure:
        """Name and unit of the score."""
        return Measure(self.metric, self.percent, self.higher_is_better)

    def cache(self, arm: Arm) -> Built | None:
        """The cache from which an arm trains; None if it uses none."""
        return self.built[self.caches[arm.name]] if arm.teacher == "stored" else None
