"""`kd train --resume`: a run keeps the settings it was started with, so an option that would change one is refused."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kdcache.errors import UsageError

if TYPE_CHECKING:
    from students.runs.record import RunRecord
    from students.runs.run import Run

_ALLOWED = (
    "--workers, --keep-views, --device, --data, --val, --weights, --head, --stop-at, --compile, --recompute, --track"
)
RESUME_HELP = f"Resume a run that was stopped. Can only be combined with {_ALLOWED}."
_FIXED: "dict[str, tuple[str, Callable[[RunRecord], Any]]]" = {
    "student": ("--student", lambda run: run.student.name),
    "recipe": ("--recipe", lambda run: "the recipe stored in run.json"),
    "settings": ("--set", lambda run: "the recipe stored in run.json"),
    "cache": ("--cache", lambda run: _caches(run)),
    "stream": ("--stream", lambda run: f"--stream {run.stream}"),
    "views": ("--views", lambda run: "all views" if run.pacing.views is None else f"views {_list(run.pacing.views)}"),
    "size": ("--size", lambda run: f"size {run.student.input[0]}"),
    "background": ("--background", lambda run: f"background {run.student.geometry.background}"),
    "start": ("--from", lambda run: run.started_from or "random weights"),
    "new_head": ("--new-head", lambda run: "a new head" if run.new_head else "no new head"),
    "seed": ("--seed", lambda run: f"seed {run.seed}"),
    "epochs": ("--epochs", lambda run: _length(run)),
    "steps": ("--steps", lambda run: f"{run.pacing.steps:,} steps"),
    "batch": ("--batch", lambda run: f"batch {run.recipe.batch}"),
    "micro": ("--micro", lambda run: f"--micro {run.pacing.micro}"),
    "log_every": ("--log-every", lambda run: f"--log-every {run.pacing.log_every}"),
    "val_every": ("--val-every", lambda run: f"--val-every {run.pacing.validate_every}"),
    "keep_every": ("--keep-every", lambda run: f"--keep-every {run.pacing.keep_every}"),
}


def refuse_fixed(given: frozenset[str], run: "Run") -> None:
    """Raises UsageError for options that a run has fixed; `given`: parameters given on the command line."""
    refused = [
        f"{option} cannot be changed when resuming: this run was started with {started(run.record)}"
        for name, (option, started) in _FIXED.items()
        if name in given
    ]
    if "out" in given:
        refused.append(f"--out cannot be used when resuming: the run stays in {run.path}")
    if given & {"weights", "head"} and run.record.stream != "on":
        refused.append(
            f"--weights and --head locate a running teacher: this run was started with --stream {run.record.stream}"
        )
    if "val" in given and not run.record.validation:
        refused.append("--val cannot be set when resuming: this run was started without validation images")
    if refused:
        raise UsageError("; ".join(refused), hint=f"leave it out, or start a new run; --resume allows {_ALLOWED}")


def _caches(run: "RunRecord") -> str:
    paths = [cache.path for cache in run.all_caches]
    return f"the cache{'s' * (len(paths) > 1)} {' and '.join(paths)}" if paths else "no cache"


def _length(run: "RunRecord") -> str:
    """Length of the training as its recipe gives it, and in steps."""
    epochs = "" if run.recipe.epochs is None else f"{run.recipe.epochs:g} epochs, "
    return f"{epochs}{run.pacing.steps:,} steps"


def _list(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))
