"""Chooses the images on which a student is judged during training: those of `--val`, the recipe's sets, or the held-out split.

Input: options, the recipe, the training images, and the student. Output: validation sets, scanned and checked. There are none if
the student cannot be judged; then a note says why.
"""

from collections.abc import Container
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
from students.judging.features import whole_of
from students.judging.judged import check_head, head_names
from students.judging.pictures import Labelled, labelled
from students.judging.registry import TASKS, task_named
from students.judging.while_training import check_before, set_of, settings_in
from students.plan.data import TrainingData
from students.recipe import Recipe
from students.runs.validation import ValidationSet

UNJUDGED = "unjudged"
"""Kind of a note that says why the student is not judged."""
_OTHERS = "name other images with --val, or train without validation with --val none"


class Planned(NamedTuple):
    """One validation set."""

    record: ValidationSet
    examples: Examples
    """Images of the set as scanned for the plan, ready for judging."""


def validation_sets(
    val: tuple[str, ...], data: TrainingData, recipe: Recipe, student: StudentSpec, workers: int, notes: Notes
) -> tuple[Planned, ...]:
    """The sets, in the order of the recipe. `workers`: processes that render their images."""
    if "none" in val:
        if len(val) > 1:
            raise UsageError(
                f"--val none cannot be combined with --val {val[1 - val.index('none')]}", hint="give one of the two"
            )
        return ()
    found = []
    for asked, place, given in _wanted(val, data.dataset, recipe, notes):
        try:
            found.append(_planned(asked, place, data, recipe, student, workers))
        except KDError as error:
            if given:
                raise
            called = f" on {asked.name}" if asked.name != _UNNAMED else ""
            notes.add(f"the student is not judged{called} during training: {error.message}", UNJUDGED)
        else:
            _note_trained_on(found[-1].examples.images, data, notes)
    _check_best([each.record for each in found], recipe)
    return tuple(found)


_UNNAMED = "validation"
_Wanted = list[tuple[JudgedSet, "str | dict[str, Any]", bool]]
"""Validation sets, each with the source of its images and whether the user gave that source."""


def _wanted(val: tuple[str, ...], dataset: Dataset, recipe: Recipe, notes: Notes) -> _Wanted:
    if recipe.judge.sets:
        return _sets_of_recipe(val, recipe, notes)
    if len(val) > 1 or (val and named(val[0])[0]):
        return [(JudgedSet(name=name), place, True) for name, place in _names(val).items()]
    guess = held_out(dataset.source)
    if not val and guess is None:
        notes.add("no --val: the student is not judged during training, the last weights are kept", UNJUDGED)
        return []
    return [(JudgedSet(name=_UNNAMED), val[0] if val else guess or {}, bool(val))]


def _names(val: tuple[str, ...]) -> dict[str, str]:
    """Name -> source of the sets of `--val`. A source without NAME= is named by its kind (`cifar10:DIR`) or its folder."""
    places: dict[str, str] = {}
    for text in val:
        given, place = named(text)
        name = given or place.partition(":")[0].rstrip("/").rpartition("/")[2]
        try:
            JudgedSet(name=name)
        except ValueError:
            raise UsageError(f"--val {text} has no name for its results", hint="--val NAME=SOURCE") from None
        if name in places or name == MEAN:
            raise UsageError(
                f"two validation sets would be named {name}", hint="give each its own name: --val NAME=SOURCE"
            )
        places[name] = place
    return places


def _sets_of_recipe(val: tuple[str, ...], recipe: Recipe, notes: Notes) -> _Wanted:
    names: list[str | None] = [each.name for each in recipe.judge.sets]
    places: dict[str | None, str] = {}
    for text in val:
        name, place = set_of(text, names)
        if name in places:
            raise UsageError(f"--val names {name} twice", hint="give each set once")
        places[name] = place
    found: _Wanted = []
    for each in recipe.judge.sets:
        lies = places.get(each.name, each.data)
        if lies is None:
            way = f"give its location with --val {each.name}=SOURCE"
            notes.add(f"the student is not judged on {each.name} during training: {way}", UNJUDGED)
        else:
            found.append((each, lies, each.name in places))
    return found


def _planned(
    asked: JudgedSet,
    place: str | dict[str, Any],
    data: TrainingData,
    recipe: Recipe,
    student: StudentSpec,
    workers: int,
) -> Planned:
    """A set with its images and its bank, checked for this student."""
    judge, bank_from = recipe.judge, recipe.judge.bank if asked.bank is None else asked.bank
    source = judged_source(place, bank_from, data.dataset.source)
    listing = source.scan()
    images = labelled(source, listing, truths=task_named(asked.task or judge.task).truths)
    bank: list[tuple[Labelled, Dataset | None]] = []

    def bank_of(wanted: Bank) -> Labelled:
        bank.append(_bank(wanted, source, data))
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
    except (UsageError, Mismatch) as error:  # its hint names options of kd eval
        raise type(error)(error.message, hint=_OTHERS) from error
    found = {"bank": bank[-1][1] if bank else None, "truths": images.truths.digests(from_source(task.truths))}
    return Planned(planned.model_copy(update=found), examples)


def _note_trained_on(images: Labelled, data: TrainingData, notes: Notes) -> None:
    """Say so where the student is judged on images it is trained on: its score is then no measure of other images."""
    shared = _trained_on(images, data)
    if shared:
        which = f"all {shared:,}" if shared == len(images) else f"{shared:,} of the {len(images):,}"
        what = f"{which} validation images of {images.source.name} are training images"
        notes.add(f"{what}, so the score says little about other images: name others with --val")


def _trained_on(images: Labelled, data: TrainingData) -> int:
    """Number of these images that are training images too, as far as the sources tell: no training image is looked for."""
    if images.fingerprint == data.dataset.fingerprint:
        return len(images)
    if whole_of(images.source.spec()) != whole_of(data.dataset.source):
        return 0
    caches = data.opened.caches
    known: Container[object] = set(data.opened.images[1].ids.to_pylist()) if caches is None else caches.first
    return sum(image_id in known for image_id in images.ids)


def _bank(wanted: Bank, source: Source, data: TrainingData) -> tuple[Labelled, Dataset | None]:
    """The images of the bank, and their record; None if they are training images."""
    if wanted is None or isinstance(wanted, int):
        return few_of(data.opened.labelled, wanted), None
    split = training_split(source.spec()) if wanted == TRAIN_SPLIT else wanted
    if split is None:
        raise no_split(source)
    other = open_source(split, like=data.dataset.source)
    listing = other.scan()
    return labelled(other, listing), Dataset.of(other, listing)


def _check_best(sets: list[ValidationSet], recipe: Recipe) -> None:
    """Refuse a recipe whose best weights are selected by a set that is not judged, or by a mean of different measures."""
    best, names = recipe.judge.best, [each.name for each in sets]
    if best != MEAN and sets and best not in names:
        raise UsageError(
            f"the best weights are selected on the set {best}, on which the student is not judged",
            hint=f"--val {best}=SOURCE, or --set judge.best={names[0] or MEAN}",
        )
    measures = {each.name: task_named(each.task).measure for each in sets}
    if best == MEAN and len(set(measures.values())) > 1:
        scores = ", ".join(f"{name}: {measure.name}" for name, measure in measures.items())
        raise UsageError(f"scores of different kinds have no mean ({scores})", hint="--set judge.best=NAME of a set")
