"""The commands `kd cache …` as Python functions: keyword arguments are named like the options, results are records.

An option of several words has underscores (`part_rows`); lists and mappings are Python ones (`signal=["logits"]`,
`codec={"logits": "topk:50"}`). A failure raises a `kdcache.errors.KDError`, whose `hint` is a way out. Progress, remarks and
warnings go to `progress`; without it nothing is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from kdcache.base.keywords import Names, Settings, names, settings, text
from kdcache.base.newest import CACHES, newest_cache
from kdcache.base.progress import Progress, Silent

if TYPE_CHECKING:
    from kdcache.build.estimate import Estimate
    from kdcache.build.options import BuildOptions
    from kdcache.build.run import BuildResult
    from kdcache.check.repair import Repair
    from kdcache.check.sampling import VerifyReport
    from kdcache.reshape.convert import Reshaped
    from kdcache.store.overview import CacheEntry
    from kdcache.store.plan import Plan


class BuildKeywords(TypedDict, total=False):
    """Teacher, images, views and codecs of a build: the options of `kd cache build`. None or left out: a default is chosen."""

    teacher: str | None
    """Family of the teacher, such as `florence`; None: the cache in `out` is continued from its own plan."""
    size: str | None
    """Size of the teacher; None: nano for an embedded set, else the published default."""
    weights: str | Path | None
    """A checkpoint, or `random` to measure time and memory."""
    head: str | Path | None
    """Classifier head for a teacher without one."""
    classes: str | Path | None
    """File of class names for zero-shot logits, one a line."""
    templates: str | Path | None
    """File of prompts for zero-shot logits, one a line."""
    input_size: int | tuple[int, int] | None
    """Side length of the teacher's input, or its height and width, in pixels."""
    precision: Literal["float32", "bfloat16", "float16"]
    """Number format inside the teacher."""
    data: str | Path | None
    """Source of the images; None: the embedded set `shapes`."""
    recipe: str | Path | None
    """View recipe: a preset or a file."""
    set: Settings | None
    """Settings that override those of the view recipe."""
    background: str | None
    """Background colour shown through transparent pixels."""
    views: int
    """Number of views of each image; default 1."""
    seed: int
    """Seed of all random choices; default 0."""
    signal: Names | None
    """Signals to store; None: the default signals of the teacher's family."""
    codec: Mapping[str, str] | None
    """Signal -> codec."""
    format: Literal["hdf5", "zarr"]
    """File format of the parts."""
    compress: str | None
    """Lossless compression, such as `zstd:3`."""
    part_rows: int | None
    """Most images in a part."""
    batch: int | None
    """Images in a batch of the teacher."""
    device: Names | None
    """Devices: `cpu`, or several as ["cuda:0", "cuda:1"]."""
    workers: int | None
    """Number of processes that decode and render images."""


_FIELDS = {"set": "overrides", "signal": "signals", "codec": "codecs", "format": "backend", "compress": "compression"}
"""Keyword -> field of `BuildOptions`, for those whose names differ."""


def build_options(**keywords: Unpack[BuildKeywords]) -> "BuildOptions":
    """Make the `BuildOptions` record from keywords; TypeError for an unknown keyword."""
    from kdcache.build.options import BuildOptions

    if strange := keywords.keys() - BuildKeywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword {', '.join(sorted(strange))}: see kdcache.api.BuildKeywords")
    given: dict[str, Any] = {_FIELDS.get(name, name): value for name, value in keywords.items()}
    for name in ("data", "weights", "head", "classes", "templates", "recipe"):
        given[name] = text(given.get(name))
    side = given.get("input_size")
    signals, devices = given.get("signals"), given.pop("device", None)
    return replace(
        BuildOptions(""),
        **{
            **given,
            "teacher": given.get("teacher") or "",
            "input_size": (side, side) if isinstance(side, int) else side,
            "overrides": settings(given.get("overrides")),
            "signals": None if signals is None else names(signals),
            "codecs": dict(given.get("codecs") or {}),
            "devices": names(devices),
        },
    )


def build_cache(
    *,
    out: str | Path | None = None,
    only: tuple[int, int] | None = None,
    progress: Progress | None = None,
    **options: Unpack[BuildKeywords],
) -> "BuildResult":
    """Run a teacher once over all images and store the signals it emits: `kd cache build`.

    `out`: the folder of the cache; None: a new name in ./kd/caches. With `out` alone, an unfinished cache is continued.
    `only`: (3, 16) builds the third of sixteen equal shares.
    """
    from kdcache.build.begin import begin
    from kdcache.build.run import build

    progress = progress or Silent()
    prepared = begin(build_options(**options), None if out is None else Path(out), progress)
    return build(prepared, only=only, progress=progress)


def plan_cache(
    *, out: str | Path | None = None, progress: Progress | None = None, **options: Unpack[BuildKeywords]
) -> "Estimate":
    """Estimate the bytes, hours and disk space of a build: `kd cache plan`. One batch is measured; nothing is written."""
    from kdcache.build.begin import START
    from kdcache.build.estimate import estimate
    from kdcache.errors import UsageError

    options_record = build_options(**options)
    if not options_record.teacher:
        raise UsageError("no --teacher", hint=START)
    return estimate(options_record, None if out is None else Path(out), progress=progress or Silent())


def verify_cache(
    cache: str | Path | None = None,
    *,
    replay: int = 0,
    teacher: int = 0,
    tolerance: float | None = None,
    data: str | Path | None = None,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    seed: int = 0,
    untrusted: bool = False,
    progress: Progress | None = None,
) -> "VerifyReport":
    """Check every byte of a cache and, on request, pixels and teacher: `kd cache verify`.

    `cache`: None means the newest in ./kd/caches. `replay`: how many views to render again and compare. `teacher`: how many
    views to run the teacher on again.
    """
    from kdcache.check.sampling import VerifyOptions
    from kdcache.check.verify import verify

    ask = VerifyOptions(
        replay,
        teacher,
        tolerance,
        text(data),
        text(weights),
        text(head),
        device or "cpu",
        workers or 0,
        seed,
        untrusted,
    )
    return verify(_cache(cache), ask, progress or Silent())


def repair_cache(cache: str | Path | None = None, *, yes: bool = False, progress: Progress | None = None) -> "Repair":
    """Find damaged parts and, with `yes`, delete them so that the next build makes them again: `kd cache repair`."""
    from kdcache.check.repair import repair

    return repair(_cache(cache), apply=yes, progress=progress or Silent())


def convert_cache(
    cache: str | Path,
    *,
    out: str | Path,
    format: Literal["hdf5", "zarr"] | None = None,
    codec: Mapping[str, str] | None = None,
    compress: str | None = None,
    signal: Names | None = None,
    progress: Progress | None = None,
) -> "Reshaped":
    """Copy a cache into another file format, codec or compression, or without some of its signals: `kd cache convert`."""
    from kdcache.reshape.convert import convert

    return convert(
        Path(cache), Path(out), backend=format, codecs=dict(codec or {}), compression=compress,
        signals=None if signal is None else names(signal), progress=progress or Silent(),
    )  # fmt: skip


def merge_caches(caches: Sequence[str | Path], *, out: str | Path, progress: Progress | None = None) -> "Reshaped":
    """Copy the parts of several caches with the same plan into one cache: `kd cache merge`."""
    from kdcache.reshape.merge import merge

    return merge([Path(cache) for cache in caches], Path(out), progress=progress or Silent())


def add_views(cache: str | Path, count: int) -> "Plan":
    """Add views to the plan of a cache; the next build makes them: `kd cache add-views`."""
    from kdcache.reshape.more_views import add_views as add

    return add(Path(cache), count)


def list_caches(root: str | Path = CACHES) -> "list[CacheEntry]":
    """The caches in a folder, newest first; unreadable ones come last, with the reason: `kd cache list`."""
    from kdcache.store.overview import list_caches as listed

    return listed(Path(root))


def _cache(cache: str | Path | None) -> Path:
    return newest_cache() if cache is None else Path(cache)
