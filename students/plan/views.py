"""Which views a training learns from, and what lies under the transparent pixels of them.

Input: options, and the cache or images. Output: a ViewPlan. The student of the run is given its background, so that it is judged
and exported with the one it learnt with.
"""

from kdcache.base.notes import Notes
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.images.background import described
from kdcache.store.plan import ViewPlan
from kdcache.views.recipe import Augment, Plain, drawable, on
from students.families.spec import StudentSpec
from students.options import TrainOptions
from students.plan.data import TrainingData
from students.recipe import Recipe


def views_of(
    options: TrainOptions, data: TrainingData, recipe: Recipe, before: StudentSpec | None, notes: Notes
) -> ViewPlan:
    """The views of the cache; without one, those of the recipe, on the background of `before`, the student it begins with."""
    kept = before.geometry.background if before is not None else None
    views = data.views or _drawn(options, recipe, kept, notes)
    now = drawable(views.recipe).background
    if data.views is not None:
        _refuse_another(options.background, now)
    if kept not in (None, now):
        notes.add(f"{options.start} learnt with {described(kept)}; from now on it is {described(now)}")
    return views


def _drawn(options: TrainOptions, recipe: Recipe, kept: str | None, notes: Notes) -> ViewPlan:
    """The views of images that have no cache."""
    if recipe.views is None:
        raise UsageError("this recipe does not say how images are varied", hint="--set views=augment")
    drawn = load_preset("views", recipe.views, Augment)
    if options.background is None and kept not in (None, drawn.background):
        notes.add(f"no --background: {described(kept)}, as in {options.start}; the recipe says {drawn.background}")
    return ViewPlan(recipe=on(drawn, options.background or kept), seed=options.seed, count=1)


def _refuse_another(given: str | None, cached: str) -> None:
    """What lies under transparent pixels was decided when the teacher saw them."""
    if given is not None and on(Plain(fit="crop"), given).background != cached:
        raise UsageError(
            f"--background {given}, but the teacher of the cache saw its images with {described(cached)}",
            hint=f"leave it out, or build another cache with kd cache build --background {given}",
        )
