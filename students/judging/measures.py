"""Name and unit of a run's score, which selects its best weights. Does not import torch."""

from kdcache.errors import Mismatch
from students.base.task import Measure
from students.base.validation import MEAN, Judged
from students.judging.registry import task_named
from students.runs.record import RunRecord


def measure_of(record: RunRecord) -> Measure:
    """The measure of the task whose score selects the best weights of a run."""
    sets = {each.name: task_named(each.task, unknown=Mismatch).measure for each in record.validation}
    if not sets:
        return task_named(record.recipe.judge.task).measure
    return sets.get(record.recipe.judge.best, next(iter(sets.values())))


def measure_of_recipe(judge: Judged) -> Measure:
    """The measure by a recipe alone, before it is known on which of its sets the student can be judged."""
    decides = [each for each in judge.sets if judge.best in (MEAN, each.name)]
    return task_named((decides[0].task if decides else None) or judge.task).measure
