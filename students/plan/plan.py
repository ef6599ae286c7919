"""Plans a run: chooses cache and images, and decides every setting. Writes nothing.

Input: options. Output: a RunRecord, with notes and warnings for the user.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcache.base.digest import file_digest
from kdcache.base.notes import Note, Notes
from kdcache.base.versions import library_versions
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.store.plan import Dataset
from kdcache.views.recipe import Augment, Plain, drawable
from students.families.registry import family_of, shown_student, student_spec
from students.families.spec import RANDOM, StudentSpec
from students.options import MachineOptions, TrainOptions
from students.plan.caches import choose_caches, joined_caches, records_of
from students.plan.checks import check_classifier, check_head, check_outputs, check_pieces
from students.plan.data import TrainingData, data_of_caches, data_of_images
from students.plan.effects import check_caches
from students.plan.opened import RunInputs
from students.plan.pacing import default_piece, pacing_of
from students.plan.recipe import recipe_name, recipe_of
from students.plan.sides import check_used, shows_images
from students.plan.truths import truths_for
from students.plan.validation import Planned as PlannedSet
from students.plan.validation import validation_sets
from students.plan.views import views_of
from students.recipe import Recipe
from students.runs.caches import CacheRecord
from students.runs.checkpoint import load_tensors
from students.runs.record import RunRecord
from students.runs.run import LATEST, Run, find_run, near
from students.runs.validation import ValidationSet

DEFAULT_STUDENT = "tinyvit-5m"


@dataclass(frozen=True)
class Planned:
    """A planned run, ready to start."""

    record: RunRecord
    inputs: RunInputs
    """The cache and the images of the plan, open."""
    notes: tuple[Note, ...]
    warnings: tuple[str, ...]
    """Warnings, such as options without effect."""


def plan_run(options: TrainOptions, where: MachineOptions, processes: int) -> Planned:
    """Decide everything about a training."""
    notes = Notes()
    check_caches(options.stream, options.caches)
    if options.freeze:
        check_classifier(_name(options))
    data, recipe = _data_and_recipe(options, where, notes)
    views = views_of(options, data, recipe, _before(options), notes)
    student = _student(options, data, recipe, drawable(views.recipe), notes)
    needs = recipe.needs | family_of(student).needs(student)
    check_used(recipe, student, data.caches, live=options.stream == "on")
    truths = truths_for(needs, data.opened.truths, drawable(views.recipe), student=f"the recipe of {student.name}")
    usable = truths.usable(data.opened.caches, options.views, data.usable)
    if truths.items:
        notes.add(f"an example is one of the {truths.items}: {usable:,} {truths.items} of {truths.images:,} images")
    pacing = pacing_of(options, recipe, usable, truths.unit, processes, default_piece(student.input, where))
    if recipe.precision == "float16" and where.on_cpu:
        notes.add("float16 is slow on a CPU: --set precision=bfloat16, or float32")
    check_pieces(recipe, student, pacing.micro, processes)
    sets = _validation(options, data, recipe, student, where, notes)
    record = RunRecord(
        kind="finetune" if options.start and options.stream == "none" else "train",
        student=student,
        recipe=recipe,
        seed=options.seed,
        stream=options.stream,
        dataset=data.dataset,
        views=views,
        **_recorded_caches(data.caches),
        **_recorded([each.record for each in sets]),
        started_from=_started_from(options.start),
        truths=dict(truths.digests),
        rejected=data.dataset.rows - data.usable,
        new_head=options.new_head,
        head_rows=options.head_rows,
        pacing=pacing,
        processes=processes,
        versions=library_versions(),
    )
    inputs = RunInputs(data.opened, tuple(each.examples for each in sets), truths)
    return Planned(record, inputs, tuple(notes), _warnings(options))


def _warnings(options: TrainOptions) -> tuple[str, ...]:
    if options.steps is None or options.epochs is None:
        return ()
    return (f"--epochs {options.epochs:g} has no effect beside --steps {options.steps}: give one of the two",)


def _data_and_recipe(options: TrainOptions, where: MachineOptions, notes: Notes) -> tuple[TrainingData, Recipe]:
    """The training data and the recipe. The default recipe depends on the images, the default cache on the recipe's needs."""
    name = _name(options)
    spec = shown_student(name)
    family = family_of(spec)

    def loaded(images: Dataset) -> Recipe:
        return load_preset("recipes", recipe_name(options.recipe, name, images.source), Recipe, options.settings)

    def recipe(images: Dataset) -> Recipe:
        own = loaded(images)
        check_outputs(spec, own, *(recipe_name(asked, name, images.source) for asked in (options.recipe, None)))
        return own

    if options.stream == "none":
        if family.needs(spec).teacher:
            raise UsageError(
                f"{name} starts from weights of its teacher, so it cannot be trained on true classes alone",
                hint=f"kd cache build --teacher {family.defaults.teacher}, then train from that cache",
            )
        data = data_of_images(where.data, notes)
        recipe(data.dataset)
    else:
        caches = choose_caches(
            options.caches,
            lambda cache: loaded(cache.plan.dataset).needs,
            family.defaults,
            notes,
        )
        chosen, records = recipe(caches[0][1].plan.dataset), records_of(caches)
        shown = shows_images(chosen, spec, records)
        joined = joined_caches(caches, records, views=options.views, shown=shown)
        data = data_of_caches(joined, options.views, chosen.needs, where.data, notes)
    return data, recipe_of(options, name, data, where, notes)


def _before(options: TrainOptions) -> StudentSpec | None:
    """The student of the run from which training starts; None if it starts from no run."""
    return Run.open(options.start).record.student if options.start and _is_run(options.start) else None


def _name(options: TrainOptions) -> str:
    before = _before(options)
    return options.student or (before.name if before else DEFAULT_STUDENT)


def _student(
    options: TrainOptions, data: TrainingData, recipe: Recipe, views: Plain | Augment, notes: Notes
) -> StudentSpec:
    before, name = _before(options), _name(options)
    size = options.size or recipe.input
    if size is None and before is not None:
        size = before.input[0]
        notes.add(f"no --size: {size} pixels, as in {options.start}")
    spec = student_spec(
        name,
        classes=data.classes,
        size=size,
        drop_path=recipe.drop_path_of(name),
        background=views.background,
        geometry=views if isinstance(views, Plain) else None,
        before=before,
        weights=options.start if before is None else None,
    )
    if before is not None and not options.new_head and options.head_rows is None:
        check_head(before.classes, spec.classes, taught=bool(data.caches))
    if not options.start and spec.begun != RANDOM:
        notes.add(f"the student starts from {spec.begun}")
    return spec


def _validation(
    options: TrainOptions,
    data: TrainingData,
    recipe: Recipe,
    student: StudentSpec,
    where: MachineOptions,
    notes: Notes,
) -> tuple[PlannedSet, ...]:
    """The validation sets; a note says if there are none although the recipe has a patience."""
    sets = validation_sets(options.validation, data, recipe, student, where.render_workers, notes)
    if not sets and recipe.patience is not None:
        notes.add(f"training will not stop early: patience {recipe.patience} counts validations, but there are none")
    return sets


def _recorded(sets: list[ValidationSet]) -> dict[str, Any]:
    """The record's fields for the validation images: `val` for a single plain set, else `sets`."""
    plain = len(sets) == 1 and sets[0].name is None and sets[0].bank is None and not sets[0].truths
    return {"val": sets[0].data} if plain else {"sets": tuple(sets)}


def _recorded_caches(caches: tuple[CacheRecord, ...]) -> dict[str, Any]:
    """The fields of the record that name the caches: `cache` for one, else `caches`."""
    return {"caches": caches} if len(caches) > 1 else {"cache": next(iter(caches), None)}


def _started_from(start: str | None) -> str | None:
    if start is None:
        return None
    file = weights_file(start)
    return f"{file.resolve()} xxh3:{file_digest(file)}"


def _is_run(start: str) -> bool:
    return start == LATEST or (find_run(start) / "run.json").is_file()


def weights_file(start: str) -> Path:
    """The weights file of a run, or the file itself."""
    path = Path(start)
    if _is_run(start):
        weights = Run.open(start).weights
        load_tensors(weights)
        return weights
    if not path.is_file():
        raise UsageError(
            f"{start} is neither a run nor a weights file", hint=f"{near(path)}; or give a .safetensors file"
        )
    return path
