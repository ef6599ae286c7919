"""Check the options of a build before anything is scanned, loaded or written.

Input: the options. Output: the view recipe; or an error about the first mistake, at once and not after a minute.
"""

import os
from pathlib import Path

from kdcache.build.options import BuildOptions
from kdcache.codecs import check_codec_name
from kdcache.config.presets import load_preset
from kdcache.errors import UsageError
from kdcache.signals.signal import NAMES, is_name
from kdcache.store.compression import compressor
from kdcache.views.recipe import Augment, Plain, on

PLAIN = "plain"
_VIEWS = "KD_VIEWS__"


def check_asked(options: BuildOptions, out: Path | None) -> Augment | None:
    """Refuse options that cannot work: unknown names, an invalid codec or compression, an unusable folder.

    Returns the view recipe; None for `plain`, which uses the geometry of the teacher.
    """
    from kdcache.teachers.registry import check_request

    if out is not None:
        check_folder(out)
    check_request(options.teacher, size=options.size)
    for device in options.devices:
        check_request(options.teacher, device=device)
    _check_codecs(options)
    if options.compression is not None:
        compressor(options.compression, 1)
    return _recipe(options)


def check_folder(out: Path) -> None:
    """Refuse a path that cannot become a cache: a file, a path below a file, or a folder with other content."""
    path = out.absolute()
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir():
        raise UsageError(f"{out} cannot be a cache: {there} is a file", hint="choose another folder with --out")
    if there == path and not (path / "plan.json").is_file() and any(not p.name.startswith(".") for p in path.iterdir()):
        raise UsageError(f"{out} is not empty and not a cache", hint="choose another folder with --out")


def _check_codecs(options: BuildOptions) -> None:
    strangers = set(options.codecs) - set(options.kept)
    if strangers:
        hint = f"add it to --signal, which is {','.join(options.kept)}"
        raise UsageError(f"a codec is given for {', '.join(sorted(strangers))}, which is not stored", hint=hint)
    for name in options.kept:
        if not is_name(name):
            raise UsageError(f"a signal cannot be called {name!r}", hint=f"names are made of {NAMES}")
    for name, text in options.codecs.items():
        check_codec_name(text, name)  # whether the codec suits its signal is checked when the teacher is open


def _recipe(options: BuildOptions) -> Augment | None:
    """The requested view recipe; None for `plain`, which uses the geometry of the teacher."""
    if options.views < 1:
        raise UsageError(f"--views is {options.views}", hint="store at least one view")
    name = options.recipe or (PLAIN if options.views == 1 else "augment")
    if name != PLAIN:
        return on(load_preset("views", name, Augment, overrides=options.overrides), options.background)
    on(Plain(fit="crop"), options.background)  # refuses an invalid colour before a teacher is loaded
    settings = [f"--set {text}" for text in options.overrides]
    settings += [variable for variable in sorted(os.environ) if variable.startswith(_VIEWS)]
    if settings:
        raise UsageError(
            f"{', '.join(settings)}: the recipe `plain` has no settings",
            hint="add --recipe augment, or leave them out (--background is an option of its own)",
        )
    if options.views > 1:
        hint = "choose random views with --recipe augment, or store one view"
        raise UsageError(f"--views is {options.views}, but the recipe `plain` has one view only", hint=hint)
    return None
