"""Begin a build from a user's options: a new cache, or one that exists and is continued."""

from dataclasses import fields
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.build.check import check_folder
from kdcache.build.options import BuildOptions
from kdcache.build.prepare import Prepared, prepare
from kdcache.build.resume import prepare_again
from kdcache.errors import UsageError

START = "kd cache build --teacher florence"
_KEPT = ("teacher", "data", "weights", "head", "devices", "workers")
"""Options that apply when a cache is continued from its own plan: locations on this machine, and its devices and workers."""
_OPTIONS = {
    "overrides": "set",
    "signals": "signal",
    "codecs": "codec",
    "backend": "format",
    "compression": "compress",
}
"""Field of `BuildOptions` -> name of the command-line option, for those whose names differ."""


def begin(options: BuildOptions, out: Path | None, progress: Progress) -> Prepared:
    """Prepare a build from the options or, when no teacher is named, from the plan in `out`.

    Remarks and warnings about the plan go to `progress` and are also in the result.
    """
    check_teacher(options, out)
    if out is not None and not options.teacher:
        _refuse_changes(options)
        progress.note("loading the teacher")
        return prepare_again(out, options)
    prepared = prepare(options, out, progress=progress)
    for note in prepared.notes:
        progress.note(note.text)
    for warning in prepared.warnings:
        progress.warn(warning)
    return prepared


def check_teacher(options: BuildOptions, out: Path | None) -> None:
    """UsageError when no teacher is named and `out` holds no cache that names one."""
    if options.teacher or (out is not None and (out / "plan.json").is_file()):
        return
    if out is not None and out.exists():
        check_folder(out)
    raise UsageError("no --teacher, and no cache in --out to continue", hint=START)


def _refuse_changes(options: BuildOptions) -> None:
    """UsageError for options that would change the plan of a cache that is continued with --out alone."""
    usual = BuildOptions("")
    other = [
        f.name for f in fields(options) if f.name not in _KEPT and getattr(options, f.name) != getattr(usual, f.name)
    ]
    if other:
        named = ", ".join("--" + _OPTIONS.get(name, name).replace("_", "-") for name in other)
        hint = "leave it out, or give --teacher and another --out to build another cache"
        raise UsageError(
            f"{named} cannot be changed: --out without --teacher continues the cache from its stored plan", hint=hint
        )
