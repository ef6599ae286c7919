"""On which images a student is judged while it is trained: those of `--val`, the recipe's sets, or the held-out split.

Input: options, the recipe, the images that are learnt from, and the student. Output: validation sets, each scanned and checked;
none where the student is not judged, which a note says.
"""

from typing import Any, NamedTuple

from kdcache.base.notes import Notes
from kdcache.errors import KDError, Mismatch, UsageError
from kdcache.images import Source, open_source
from kdcache.images.splits import held_out, training_split
from kdcache.store.plan import Dataset
from students.base.truth_columns import expect_columns, from_source
from students.base.validation import MEAN, Bank, JudgedSet, named
from students.families.spec import StudentSpec
from students.judging.examples import TRAIN_SPLIT, Examples, few_of, judged_source, no_split
from students.judging.judged import check_head, head_names
from students.judging.pictures import Labelled, labelled
from students.judging.registry import TASKS, task_named
from students.judging.while_training import check_before, set_of, settings_in
from students.plan.data import TrainingData
from students.recipe import Recipe
from students.runs.validation import ValidationSet

UNJUDGED = "unjudged"
"""Kind of a note: the student is not judged, and why."""
_OTHERS = "name other images with --val; --val none trains without"


class Planned(NamedTuple):
    """One validation set."""

    record: ValidationSet
    examples: Examples
    """Its images as they were scanned for the plan, ready to be judged on."""


def validation_sets(
    val: tuple[str, ...], ground: TrainingData, recipe: Recipe, student: StudentSpec, workers: int, notes: Notes
) -> tuple[Planned, ...]:
    """The sets, in the order of the recipe. `workers`: processes that render their images."""
    if "none" in val:
        if len(val) > 1:
            raise UsageError(f"--val none and --val {val[1 - val.index('none')]}", hint="give one of the two")
        return ()
    found = []
    for asked, place, given in _wanted(val, ground.dataset, recipe, notes):
        try:
            found.append(_planned(asked, place, ground, recipe, student, workers))
        except KDError as error:
            if given:
                raise
            called = f" on {asked.name}" if asked.name != _UNNAMED else ""
            notes.add(f"not judged{called} while it learns: {error.message}", UNJUDGED)
    _check_best([each.record for each in found], recipe)
    return tuple(found)


_UNNAMED = "validation"
_Wanted = list[tuple[JudgedSet, "str | dict[str, Any]", bool]]
"""Sets, where their images lie, and whether the user named the place."""


def _wanted(val: tuple[str, ...], dataset: Dataset, recipe: Recipe, notes: Notes) -> _Wanted:
    if recipe.judge.sets:
        return _sets_of_recipe(val, recipe, notes)
    if len(val) > 1 or (val and named(val[0])[0]):
        return [(JudgedSet(name=name), place, True) for name, place in _names(val).items()]
    guess = held_out(dataset.source)
    if not val and guess is None:
        notes.add("no --val: the student is not judged while it learns, the last weights are kept", UNJUDGED)
        return []
    return [(JudgedSet(name=_UNNAMED), val[0] if val else guess or {}, bool(val))]


def _names(val: tuple[str, ...]) -> dict[str, str]:
    """Sets that only the command line names: `NAME=SOURCE`, or by the kind of source (`cifar10:DIR`)."""
    places: dict[str, str] = {}
    for text in val:
        given, place = named(text)
        name = given or place.partition(":")[0].rstrip("/").rpartition("/")[2]
        try:
            JudgedSet(name=name)
        except ValueError:
            raise UsageError(
                f"--val {text} has no name its results can be called by", hint="--val NAME=SOURCE"
            ) from None
        if name in places or name == MEAN:
            raise UsageError(f"two sets would be called {name}", hint="give each a name: --val NAME=SOURCE")
        places[name] = place
    return places


def _sets_of_recipe(val: tuple[str, ...], recipe: Recipe, notes: Notes) -> _Wanted:
    names: list[str | None] = [each.name for each in recipe.judge.sets]
    places: dict[str | None, str] = {}
    for text in val:
        name, place = set_of(text, names)
        if name in places:
            raise UsageError(f"--val names the place of {name} twice", hint="give it once")
        places[name] = place
    found: _Wanted = []
    for each in recipe.judge.sets:
        lies = places.get(each.name, each.data)
        if lies is None:
            way = f"--val {each.name}=SOURCE says where it lies"
            notes.add(f"not judged on {each.name} while it learns: {way}", UNJUDGED)
        else:
            found.append((each, lies, each.name in places))
    return found


def _planned(
    asked: JudgedSet,
    place: str | dict[str, Any],
    ground: TrainingData,
    recipe: Recipe,
    student: StudentSpec,
    workers: int,
) -> Planned:
    """A set with its images and its bank, checked for this student."""
    judge, bank_from = recipe.judge, recipe.judge.bank if asked.bank is None else asked.bank
    source = judged_source(place, bank_from, ground.dataset.source)
    listing = source.scan()
    images = labelled(source, listing, truths=task_named(asked.task or judge.task).truths)
    bank: list[tuple[Labelled, Dataset | None]] = []

    def bank_of(wanted: Bank) -> Labelled:
        bank.append(_bank(wanted, source, ground))
        return bank[-1][0]

    planned = ValidationSet(
        name=None if asked.name == _UNNAMED else asked.name,
        data=Dataset.of(source, listing),
        task=asked.task or judge.task,
        settings={**(judge.settings if asked.task in (None, judge.task) else {}), **asked.settings},
        bank_from=bank_from if "bank" in task_named(asked.task or judge.task).settings.model_fields else None,
    )
    task, settings = settings_in(planned)
    heads = head_names(student)
    check_head(student.name, heads, task, [name for name, other in TASKS if other.head in heads])
    examples = Examples(images, bank_of, workers)
    expect_columns(images.truths, from_source(task.truths), f"the task {task.name}")
    try:
        check_before(student, task, examples, settings)
    except (UsageError, Mismatch) as error:  # its hint is of kd eval
        raise type(error)(error.message, hint=_OTHERS) from error
    found = {"bank": bank[-1][1] if bank else None, "truths": images.truths.digests(from_source(task.truths))}
    return Planned(planned.model_copy(update=found), examples)


def _bank(wanted: Bank, source: Source, ground: TrainingData) -> tuple[Labelled, Dataset | None]:
    """The images that are compared with, and their record where they are not the training images."""
    if wanted is None or isinstance(wanted, int):
        return few_of(ground.opened.labelled, wanted), None
    split = training_split(source.spec()) if wanted == TRAIN_SPLIT else wanted
    if split is None:
        raise no_split(source)
    other = open_source(split, like=ground.dataset.source)
    listing = other.scan()
    return labelled(other, listing), Dataset.of(other, listing)


def _check_best(sets: list[ValidationSet], recipe: Recipe) -> None:
    """The score that decides must be one that is measured, or a mean of scores of one kind."""
    best, names = recipe.judge.best, [each.name for each in sets]
    if best != MEAN and sets and best not in names:
        raise UsageError(
            f"the best weights are those of the set {best}, on which the student is not judged",
            hint=f"--val {best}=SOURCE, or --set judge.best={names[0] or MEAN}",
        )
    measures = {each.name: task_named(each.task).measure for each in sets}
    if best == MEAN and len(set(measures.values())) > 1:
        told = ", ".join(f"{name}: {measure.name}" for name, measure in measures.items())
        raise UsageError(f"scores of several kinds have no mean ({told})", hint="--set judge.best=NAME of a set")
