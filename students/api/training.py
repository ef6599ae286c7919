"""`kd train` and `kd finetune` as Python functions; students/api/__init__.py says how they are called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from kdcache.base.keywords import Names, Settings, names, settings, text
from kdcache.base.progress import Progress, Silent
from kdcache.errors import UsageError

if TYPE_CHECKING:
    from students.options import MachineOptions, NamedCache, TrainOptions
    from students.train.start import Finished

Run = str | Path
Caches = str | Path | Sequence[str | Path] | Mapping[str, str | Path]
"""A cache; several of the same images in a list; or name -> cache."""


class MachineKeywords(TypedDict, total=False):
    """Keyword arguments that a training takes both when it is started and when it is resumed."""

    data: str | Path | None
    """The training images or, with a cache or a run, their new location."""
    val: Names | None
    """Validation images; several sets as NAME=SOURCE each; `none`: the student is not judged."""
    device: str
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    workers: int | None
    """Number of processes that render views."""
    keep_views: int | None
    """Bytes of memory for rendered views that are used in several epochs; None: a quarter of the free memory."""
    compile: bool
    """Whether the student is compiled."""
    recompute: bool
    """Whether activations are recomputed in the backward pass instead of kept in memory."""
    stop_at: int | None
    """Step after which the training stops; it can be resumed."""
    track: Names | None
    """Trackers that metrics are also sent to: `tensorboard`, `wandb`."""


class TrainKeywords(MachineKeywords, total=False):
    """Keyword arguments of both `kd train` and `kd finetune`. One that is None or left out gets a fitting value."""

    student: str | None
    """Student to train: the name of a preset, or a file."""
    recipe: str | Path | None
    """Training recipe: the name of a preset, or a file."""
    set: Settings | None
    """Values that replace those of the recipe."""
    size: int | None
    """Side length of the student's input, in pixels."""
    background: str | None
    """Colour under transparent pixels, for training without a cache."""
    new_head: bool
    """Whether the classifier starts from random weights and all others from the given ones."""
    out: str | Path | None
    """Folder of the run; None: a new name in ./kd/runs."""
    seed: int
    """Seed of everything random (default 0)."""
    epochs: float | None
    """Number of passes over the images."""
    steps: int | None
    """Number of steps, instead of epochs."""
    batch: int | None
    """Images in a step."""
    micro: int | None
    """Images that go through the network at once."""
    log_every: int | None
    """Steps between lines of metrics.jsonl."""
    val_every: int | None
    """Steps between validations."""
    keep_every: int | None
    """Steps between checkpoints."""


def train_student(
    *,
    cache: Caches | None = None,
    stream: Literal["off", "on", "none"] = "off",
    views: Sequence[int] | None = None,
    from_: Run | None = None,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> "Finished":
    """Train a student from a cache (`stream` off), with a connected teacher (on) or on true classes (none): `kd train`.

    Several caches of the same images are a list, or a dict {name: path} if their signals need names.
    """
    from students.plan.effects import check_source

    given = {"cache": cache, "views": views, "weights": weights, "head": head}
    asked, where = _training(options, weights, head)
    check_source(stream, [name for name, value in given.items() if value is not None], asked.student)
    from students.train.start import start

    asked = replace(asked, cache=_caches(cache), stream=stream, start=text(from_))
    return start(replace(asked, views=None if views is None else tuple(views)), where, progress or Silent())


def finetune_student(
    run: Run,
    *,
    head_rows: str | Path | None = None,
    freeze: bool = False,
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> "Finished":
    """Train the student of a run further, on the true classes of `data`; with `freeze` only its classifier: `kd finetune`."""
    from students.plan.effects import check_labelled
    from students.train.start import start

    asked, where = _training(options)
    check_labelled(where.data)

    asked = replace(asked, stream="none", start=str(run), head_rows=text(head_rows), freeze=freeze)
    return start(asked, where, progress or Silent())


def resume_student(
    run: Run,
    *,
    weights: str | Path | None = None,
    head: str | Path | None = None,
    progress: Progress | None = None,
    **machine: Unpack[MachineKeywords],
) -> "Finished":
    """Resume a training that was stopped, with the options it was started with: `kd train --resume`."""
    from students.runs.run import find_run
    from students.train.start import go_on

    if strange := machine.keys() - MachineKeywords.__annotations__.keys():
        raise TypeError(f"{', '.join(sorted(strange))} cannot be changed when resuming a run")
    asked, where = _training(dict(machine), weights, head)  # type: ignore[arg-type]  # a part of the keywords
    return go_on(find_run(run), replace(where, val=asked.validation), progress or Silent())


def _caches(given: Caches | None) -> "Path | tuple[NamedCache, ...] | None":
    """The caches to learn from, with their names where they have some. None: the newest that fits."""
    from students.options import NamedCache

    if given is None or isinstance(given, str | Path):
        return None if given is None else Path(given)
    if isinstance(given, Mapping):
        named = tuple(NamedCache(Path(path), name) for name, path in given.items())
    else:
        named = tuple(NamedCache(Path(path)) for path in given)
    if not named:
        raise UsageError("cache is empty", hint="leave it out for the newest cache that fits")
    return named


def _training(
    options: TrainKeywords, weights: str | Path | None = None, head: str | Path | None = None
) -> "tuple[TrainOptions, MachineOptions]":
    """Options of the training, and options of this machine."""
    from students.options import MachineOptions, TrainOptions
    from students.plan.effects import check_epochs

    check_epochs(options.get("epochs"))
    if strange := options.keys() - TrainKeywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword {', '.join(sorted(strange))}: see students.api.training.TrainKeywords")
    given: dict[str, Any] = dict(options)
    where = MachineOptions(
        device=given.pop("device", "auto"), workers=given.pop("workers", None),
        keep_views=given.pop("keep_views", None), data=text(given.pop("data", None)),
        compiled=given.pop("compile", False), recompute=given.pop("recompute", False),
        stop_at=given.pop("stop_at", None), trackers=names(given.pop("track", None)),
        weights=text(weights), head=text(head),
    )  # fmt: skip
    out = given.pop("out", None)
    asked = TrainOptions(
        recipe=text(given.pop("recipe", None)), settings=settings(given.pop("set", None)),
        val=places_of(given.pop("val", None)), out=None if out is None else Path(out),
        validate_every=given.pop("val_every", None), **given,
    )  # fmt: skip
    return asked, where


def places_of(val: Names | None) -> str | tuple[str, ...] | None:
    """Validation images as `TrainOptions.val` takes them: None, one source, or several sets."""
    return val if isinstance(val, str) or val is None else tuple(val)
