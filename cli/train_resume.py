"""`kd train --resume`: what a run was begun with stays, so an option that would change it is refused, never passed over."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kdcache.errors import UsageError

if TYPE_CHECKING:
    from students.runs.record import RunRecord
    from students.runs.run import Run

_HEARD = "--workers, --device, --data, --val, --weights, --head, --stop-at, --compile, --recompute, --track"
RESUME_HELP = f"Go on with a run that was stopped; beside it only {_HEARD}."
_FIXED: "dict[str, tuple[str, Callable[[RunRecord], Any]]]" = {
    "student": ("--student", lambda run: run.student.name),
    "recipe": ("--recipe", lambda run: "the recipe in run.json"),
    "settings": ("--set", lambda run: "the recipe in run.json"),
    "cache": ("--cache", lambda run: run.cache.path if run.cache else "no cache"),
    "stream": ("--stream", lambda run: run.stream),
    "views": ("--views", lambda run: "all views" if run.pacing.views is None else _list(run.pacing.views)),
    "size": ("--size", lambda run: run.student.input[0]),
    "background": ("--background", lambda run: run.student.geometry.background),
    "start": ("--from", lambda run: run.started_from or "random weights"),
    "new_head": ("--new-head", lambda run: "a new head" if run.new_head else "none"),
    "seed": ("--seed", lambda run: run.seed),
    "epochs": ("--epochs", lambda run: f"{run.recipe.epochs:g}, {run.pacing.steps:,} steps"),
    "steps": ("--steps", lambda run: run.pacing.steps),
    "batch": ("--batch", lambda run: run.recipe.batch),
    "micro": ("--micro", lambda run: run.pacing.micro),
    "log_every": ("--log-every", lambda run: run.pacing.log_every),
    "val_every": ("--val-every", lambda run: run.pacing.validate_every),
    "keep_every": ("--keep-every", lambda run: run.pacing.keep_every),
}


def refuse_unheard(given: frozenset[str], run: "Run") -> None:
    """UsageError for options of a new training; `given`: parameters that the command line named."""
    told = [
        f"{option} has no effect with --resume: the run was begun at {begun(run.record)}"
        for name, (option, begun) in _FIXED.items()
        if name in given
    ]
    if "out" in given:
        told.append(f"--out has no effect with --resume: the run goes on in {run.path}")
    if given & {"weights", "head"} and run.record.stream != "on":
        told.append(
            f"--weights and --head are of a connected teacher: the run was begun at --stream {run.record.stream}"
        )
    if "val" in given and not run.record.validation:
        told.append("--val has no effect with --resume: the run was begun at none")
    if told:
        raise UsageError("; ".join(told), hint=f"leave it out, or begin a new run; beside --resume go {_HEARD}")


def _list(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))
