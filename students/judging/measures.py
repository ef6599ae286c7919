"""What the score of a run is: the measure of the task that decides which weights are the best. torch is not needed for it."""

from kdcache.errors import Mismatch
from students.base.task import Measure
from students.base.validation import MEAN, Judged
from students.judging.registry import task_named
from students.runs.record import RunRecord


def measure_of(record: RunRecord) -> Measure:
    """What the score is that decides which weights are the best."""
    sets = {each.name: task_named(each.task, unknown=Mismatch).measure for each in record.validation}
    if not sets:
        return task_named(record.recipe.judge.task).measure
    return sets.get(record.recipe.judge.best, next(iter(sets.values())))


def measure_of_recipe(judge: Judged) -> Measure:
    """The same before it is known on which sets a student can be judged."""
    decides = [each for each in judge.sets if judge.best in (MEAN, each.name)]
    return task_named((decides[0].task if decides else None) or judge.task).measure
