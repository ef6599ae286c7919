"""A training with everything at hand: network, images, targets, and the checks that had to pass. Made from a run record.

Input: a record (new, or read back from a run that was stopped) and this machine. Output: a Job the loop can work on.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdcache.base.progress import Progress
from kdcache.cache import Cache
from kdcache.errors import UsageError
from kdcache.images.enlarged import enlargement
from kdcache.images.source import Source
from kdcache.stream import Share
from students.base.contracts import Family
from students.base.machine import World
from students.base.objective import Sides
from students.base.task import Measure
from students.families.loading import Head, HeadRows
from students.families.registry import build_student, family_of, load_weights
from students.judging.measures import measure_of
from students.judging.while_training import Validation, validation_of
from students.options import MachineOptions
from students.plan import checks as fits
from students.plan.caches import TrainingCaches
from students.plan.opened import RunInputs
from students.plan.plan import weights_file
from students.plan.sides import check_sides, sides_of, signals_read
from students.runs.record import RunRecord
from students.train.feed import Feed
from students.train.images import TrainingImages
from students.train.kept_views import KeptViews, memory_for_views
from students.train.losses import own_modules
from students.train.optimise import Pace
from students.train.targets import CachedTargets, LabelsOnly, LiveTeacher, TargetSource
from students.train.trackers import check_names


@dataclass(frozen=True)
class Lesson:
    """What a training step needs beside the examples."""

    network: nn.Module
    family: Family[Any]
    own: nn.ModuleDict
    """The objectives' own weights."""
    record: RunRecord
    """The run: its student, recipe, pacing and seed."""
    machine: MachineOptions
    """Options of this machine."""
    pace: Pace


@dataclass(frozen=True)
class Job(Lesson):
    """Everything the training loop needs."""

    images: TrainingImages
    targets: TargetSource
    feed: Callable[[], Feed]
    judge: Callable[[], AbstractContextManager[Validation]] | None
    """Function that opens the validation; None: the student is not judged in training."""
    measure: Measure
    """Name and unit of the score that selects the best weights."""


def make_job(
    record: RunRecord,
    inputs: RunInputs,
    where: MachineOptions,
    world: World,
    progress: Progress,
    *,
    fresh: bool = True,
) -> Job:
    """Check the inputs and build the job. `fresh`: load the weights the run starts from; else a checkpoint is loaded later."""
    check_names(where.trackers)
    images, targets, sides = _images_and_targets(record, inputs, where, world, progress)
    recipe, pacing = record.recipe, record.pacing
    network = _network(record, where, fresh)
    if where.recompute:
        network.set_grad_checkpointing(True)  # type: ignore[operator]  # timm's networks have it, nn.Module has not
    asked = recipe.optimiser
    warmup = round(asked.warmup * pacing.steps_an_epoch + asked.warmup_share * pacing.steps)
    return Job(
        network=network,
        family=family_of(record.student),
        own=own_modules(recipe, sides, record.seed),
        record=record,
        machine=where,
        images=images,
        targets=targets,
        feed=_feed_of(record, inputs, images, targets, where),
        judge=validation_of(record, inputs.examples, world),
        measure=measure_of(record),
        pace=Pace(asked, pacing.steps, min(warmup, pacing.steps // 2)),
    )


def _feed_of(
    record: RunRecord, inputs: RunInputs, images: TrainingImages, targets: TargetSource, where: MachineOptions
) -> Callable[[], Feed]:
    """A function that makes the feed: what the student sees and learns from, in this process."""
    needs, caches = family_of(record.student).needs(record.student), inputs.opened.caches
    size = record.student.input if needs.pixels(targets.signals) else None
    return partial(
        Feed,
        images,
        targets,
        size=size,
        micro=record.micro,
        workers=where.render_workers,
        strict=caches is not None and not caches.missing,
        truths=record.needs.columns,
        kept=_kept_views(record, images, size, where),
    )


def _kept_views(
    record: RunRecord, images: TrainingImages, size: tuple[int, int] | None, where: MachineOptions
) -> KeptViews | None:
    """A place for views that are seen again in a later epoch; None if there are none."""
    stored = range(images.views.count) if record.all_caches or images.recipe.kind == "plain" else None
    views = record.pacing.views or stored
    if size is None or views is None or record.pacing.steps <= len(views) * record.pacing.steps_an_epoch:
        return None
    return KeptViews(len(images.ids), views, size, memory_for_views(where.keep_views))


def _images_and_targets(
    record: RunRecord, inputs: RunInputs, where: MachineOptions, world: World, progress: Progress
) -> tuple[TrainingImages, TargetSource, dict[str, Sides]]:
    batch = record.recipe.batch // world.size
    progress.doing("listing the images")
    caches, (source, listing) = inputs.opened.caches, inputs.opened.images
    if world.first and (small := enlargement(source, listing, record.student.input, "the student")):
        progress.warn(small)
    views, known = record.pacing.views, inputs.truths
    if caches is None:
        images = TrainingImages.of_listing(source, listing, record.views, known)
        sides = _sides(record, images)
        share = Share(len(listing), batch, world.rank, world.size, drop_last=True)
        return images, LabelsOnly(images, views=views, seed=record.seed, share=share, examples=known.examples), sides
    images = TrainingImages.of_cache(caches.first, source, known)
    sides = _sides(record, images)
    for cache in caches.all:
        if cache.teacher.weights.random:
            which = "this cache" if len(caches.all) == 1 else str(cache.path)
            progress.warn(f"{which} was made with RANDOM WEIGHTS: good for measuring time, not for learning anything")
    share = Share(len(caches.first), batch, world.rank, world.size, drop_last=True)
    if record.stream == "on":
        return images, _connected(record, caches.first, images, share, where, world, progress), sides
    _check_stored(record, caches, source, where, world, progress)
    cached = CachedTargets(
        caches.joined,
        views=views,
        seed=record.seed,
        share=share,
        signals=signals_read(record.recipe, record.student, caches.records),
        device=str(world.device),
        examples=known.examples,
    )
    return images, cached, sides


def _check_stored(
    record: RunRecord, caches: TrainingCaches, source: Source, where: MachineOptions, world: World, progress: Progress
) -> None:
    """Every cache has what is read, and was made from views that still render the same, which the first process checks."""
    for cache in caches.all:
        fits.check_cache(cache, record.pacing.views)
    if world.first:
        for cache in caches.all:
            fits.check_replay(cache, source, where.render_workers, progress, seed=record.seed)
    world.wait()


def _sides(record: RunRecord, images: TrainingImages) -> dict[str, Sides]:
    """What each objective compares, once that is known to be possible."""
    sides = sides_of(record, images.columns)
    check_sides(record, sides)
    return sides


def _connected(
    record: RunRecord,
    cache: Cache,
    images: TrainingImages,
    share: Share,
    where: MachineOptions,
    world: World,
    progress: Progress,
) -> TargetSource:
    """The live teacher, on the rows and views that the cache has or would have."""
    from kdcache.teachers.batches import Batches
    from kdcache.teachers.reopen import reopen_teacher

    if cache.teacher.reads is not None:
        message = f"the teacher of {cache.path} needs token ids, which on-stream training does not support yet"
        raise UsageError(message, hint="train from the cache: --stream off")
    views = fits.check_views(cache, record.pacing.views)
    teacher = reopen_teacher(cache.teacher, device=str(world.device), weights=where.weights, head=where.head)
    # An unfinished cache has no complete list of unreadable images; those found in training get weight 0.
    rejected = None if cache.missing else cache.rejected
    drawn = LabelsOnly(
        images, views=views, seed=record.seed, share=share, rejected=rejected, examples=images.known.examples
    )
    hint = "train from the cache (--stream off), or use smaller pieces with --micro"
    return LiveTeacher(drawn, teacher.spec, Batches(teacher, cache.plan.batch, hint=hint, note=progress.note))


def torch_seed(seed: int) -> int:
    """A seed reduced to the 64 bits that torch accepts."""
    return seed if -(1 << 63) <= seed < 1 << 63 else seed % (1 << 63)


def _network(record: RunRecord, where: MachineOptions, fresh: bool) -> nn.Module:
    """The student before the first step; its random weights depend only on the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(record.seed))
        network = build_student(record.student)
        teacher = record.all_caches[0].teacher if record.all_caches else None
        if fresh and not record.started_from and teacher is not None:
            family_of(record.student).start(network, record.student, teacher, where.weights)
        if fresh and record.started_from:
            path = record.started_from.rpartition(" ")[0]
            rows = HeadRows(Path(record.head_rows), "mean") if record.head_rows else None
            head: Head = "new" if record.new_head else "keep"
            load_weights(network, record.student, weights_file(path), head=head, rows=rows)
            if teacher is not None:
                family_of(record.student).check_shared(network, record.student, teacher, where.weights)
    return network
