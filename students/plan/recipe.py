"""Which recipe a training has, and how options and images change it.

Input: options, the student, the images. Output: a Recipe.
"""

from collections.abc import Mapping
from typing import Any

from kdcache.base.notes import Notes
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.images.registry import usual_recipe
from students.constraints.frozen import Frozen
from students.families.registry import FAMILIES, student_preset
from students.options import MachineOptions, TrainOptions
from students.plan.chosen import chosen, fitting
from students.plan.data import TrainingData, expect_classes
from students.recipe import Recipe


def recipe_name(asked: str | None, student: str, source: Mapping[str, Any]) -> str:
    """The recipe that was asked for, else the student's own, else the usual one for images of this source."""
    return asked or student_preset(student).recipe or usual_recipe(source)


def _without_teacher(recipe: Recipe, name: str, student: str, notes: Notes) -> Recipe:
    """The recipe without the objectives that need a teacher."""
    bare = recipe.without_teacher()
    if bare is None:
        raise UsageError(
            f"the recipe {name} of {student} learns from a teacher's {' and '.join(recipe.needs.signals)} alone",
            hint="another --recipe, or a cache: kd cache build",
        )
    if lost := [name for name in recipe.losses if name not in bare.losses]:
        notes.add(f"no teacher: {' and '.join(lost)} of the recipe {name} have no effect")
    return bare


def recipe_of(options: TrainOptions, student: str, data: TrainingData, where: MachineOptions, notes: Notes) -> Recipe:
    """The recipe of a training, with notes on what was chosen and what has no effect."""
    name, usual = (recipe_name(asked, student, data.dataset.source) for asked in (options.recipe, None))
    recipe = with_precision(load_preset("recipes", name, Recipe, options.settings), where)
    if not data.caches:
        recipe = _without_teacher(recipe, name, student, notes)
        expect_classes(data, recipe.needs)
    recipe = fitting(recipe, name == usual, options, data, notes)
    if options.epochs is not None:
        recipe = recipe.model_copy(update={"epochs": options.epochs, "steps": None})
    if options.batch is not None and options.batch != recipe.batch:
        notes.add(f"batch {options.batch} instead of {recipe.batch}: learning rates are scaled in proportion")
        recipe = recipe.with_batch(options.batch)
    if options.recipe is None:
        notes.add(chosen(name, recipe, options, data))
    if options.freeze:
        recipe = recipe.model_copy(update={"constraints": (*recipe.constraints, _frozen(student))})
    return recipe


def with_precision(recipe: Recipe, where: MachineOptions) -> Recipe:
    """The recipe with a precision in place of `fastest`."""
    if recipe.precision != "fastest":
        return recipe
    from kdcache.networks.pixels import fastest_precision
    from students.base.machine import device_of

    return recipe.model_copy(update={"precision": fastest_precision(device_of(where.device))})


def _frozen(student: str) -> Frozen:
    """The constraint that freezes everything except the student's classifier."""
    name = FAMILIES.get(student_preset(student).family).classifier
    assert name is not None, "checked at the beginning"
    return Frozen(trained=name)
