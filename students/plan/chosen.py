"""What a training learns from when the user named no recipe, and why.

Input: the recipe that was chosen for the images. Output: the recipe as it fits them, and one line about it, which is read from
the preset and the recipe themselves.
"""

from kdcache.base.figures import plural
from kdcache.base.notes import Notes
from kdcache.config.presets import config_path
from kdcache.config.text import about
from students.base.truths import CLASS
from students.options import TrainOptions
from students.plan.data import TrainingData
from students.recipe import Recipe


def fitting(recipe: Recipe, usual: bool, options: TrainOptions, data: TrainingData, notes: Notes) -> Recipe:
    """A recipe that these images usually have, without true classes where they have none of the teacher's; a note says so.

    Nothing changes where the user chose the objective: what it needs is then checked, and refused.
    """
    asked = not usual or any(setting.startswith("objective") for setting in options.settings)
    caches = data.opened.caches
    if asked or caches is None or CLASS not in recipe.needs.columns:
        return recipe
    known = None if caches.first.labels is None else data.dataset.classes
    bare = recipe.without_classes()
    if known == data.classes or bare is None:
        return recipe
    why = "no labels" if known is None else "other classes than the teacher"
    notes.add(f"the images of {data.dataset.name} have {why}: true classes have no effect")
    return bare


def chosen(name: str, recipe: Recipe, options: TrainOptions, data: TrainingData) -> str:
    """`no --recipe: own, for images of your own: soft labels and true classes, 0.7:0.3; 60 epochs of …; 8 views of the cache`."""
    reason = about(config_path("recipes", name).read_text("utf-8")).partition(";")[0].rstrip(".")
    if reason.partition(" ")[0][1:].islower():  # not a name such as TinyViT
        reason = f"{reason[0].lower()}{reason[1:]}"
    losses = " and ".join(objective.described for objective in recipe.losses.values())
    steps = options.steps or recipe.steps
    length = plural(steps, "step") if steps else f"{recipe.epochs:g} epochs"
    facts = [losses, f"{length} of {plural(recipe.batch, 'image')}", _views(recipe, options, data)]
    return f"no --recipe: `{name}`{reason and f', {reason}'}: {'; '.join(facts)}"


def _views(recipe: Recipe, options: TrainOptions, data: TrainingData) -> str:
    """Where the views come from."""
    if data.views is None:
        return f"new views by `{recipe.views}` in every epoch"
    return f"{plural(len(options.views or range(data.views.count)), 'view')} of the cache"
