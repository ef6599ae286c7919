"""The job whose costs are projected: the user's own training, unless options say otherwise.

Input: options, the recipe, the number of images in the whole source. Output: a Workload; no work is done. A mistake in an option
is reported before anything is measured.
"""

from pydantic import ValidationError

from kdcache.errors import UsageError
from students.base import limits
from students.compare.options import CompareOptions
from students.compare.result.project import projected
from students.compare.result.sums import Workload
from students.recipe import Recipe


def recipe_epochs(options: CompareOptions, recipe: Recipe, images: int) -> float:
    """Passes over so many images that the recipe trains for: its epochs, or its steps of the batch that was asked for."""
    if recipe.epochs is not None:
        return recipe.epochs
    return float(f"{(recipe.steps or 1) * (options.batch or recipe.batch) / images:.3g}")


def job_of(options: CompareOptions, recipe: Recipe, images: int) -> Workload:
    """The training of the options over this many images; epochs that were not asked for are the recipe's."""
    asked = {
        "epochs": options.epochs,
        "students": options.students,
        "price": options.price,
        "watts": options.watts,
    }
    epochs = recipe_epochs(options, recipe, images) if options.epochs is None else options.epochs
    try:
        return Workload.from_plain({"images": images, "views": options.build.views, **asked, "epochs": epochs})
    except ValidationError:
        wrong = ", ".join(f"{key} {value}" for key, value in {**asked, "epochs": epochs}.items() if value is not None)
        raise UsageError(
            f"not a possible job: {wrong}",
            hint=f"--epochs above 0 and up to {limits.EPOCHS:,}, --students from 1, --price and --watts from 0, "
            f"all three up to {limits.JOB:,}",
        ) from None


def project_of(options: CompareOptions, job: Workload) -> Workload | None:
    """The job of `--project`, which replaces what it names; None if there is none."""
    return None if options.project is None else projected(options.project, job)
