"""What a comparison found: plain figures of every arm, from which table, sentences and page are made."""

from kdcache.base.strict import Strict
from kdcache.signals.teacher import TeacherSpec
from students.base.task import Measure
from students.compare.arms import Arm
from students.compare.measuring.measure import Measured
from students.compare.result.built import Built
from students.compare.result.sums import Workload
from students.compare.room import Room


class Comparison(Strict):
    """Everything that was measured."""

    arms: tuple[Arm, ...]
    measured: dict[str, tuple[Measured, ...]]
    """arm -> its repeats"""
    built: dict[str, Built]
    """cache -> what it took"""
    caches: dict[str, str]
    """arm -> its cache"""
    room: dict[str, Room]
    """arm -> what fits on a device of the size that was asked for"""
    teacher: TeacherSpec
    student: str
    images: str
    image_bytes: int | None
    """on disk, all of them; None where they are generated or remote"""
    batch: int
    steps: int
    metric: str
    """what the score of a student is called"""
    percent: bool = True
    """the score is a share of 1, written in per cent"""
    higher_is_better: bool = True
    unjudged: str | None
    """why there is none"""
    recipe: str
    pixels: int
    """Side length of the student's input, in pixels."""
    device: str
    machine: str
    job: Workload
    """all images of the source, for the epochs that were asked for"""
    project: Workload | None

    @property
    def measure(self) -> Measure:
        """What the score of a student is."""
        return Measure(self.metric, self.percent, self.higher_is_better)

    def cache(self, arm: Arm) -> Built | None:
        """The cache an arm learns from."""
        return self.built[self.caches[arm.name]] if arm.teacher == "stored" else None
