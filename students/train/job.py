"""A training with everything at hand: network, images, teller, and the checks that had to pass. Made from a run record.

Input: a record (new, or read back from a run that was stopped) and this machine. Output: a Job the loop can work on.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from kdcache.base.progress import Progress
from kdcache.cache import Cache
from kdcache.errors import Mismatch
from kdcache.images.enlarged import enlargement
from kdcache.store.same_images import images_again
from kdcache.stream import Share
from students.base.machine import World
from students.base.task import Measure
from students.base.types import INPUTS
from students.families.loading import Head, HeadRows
from students.families.registry import begin, build_student, check_shared, layer_count, layer_of, load_weights, no_decay
from students.families.spec import StudentSpec
from students.judging.while_training import Validation, measure_of, validation_of
from students.options import Where
from students.plan import checks as fits
from students.plan.plan import weights_file
from students.recipe import Recipe
from students.runs.record import Pacing, RunRecord
from students.train.feed import Feed
from students.train.images import Scene
from students.train.optimise import Pace
from students.train.targets import Cached, Connected, Drawn, Teller
from students.train.trackers import check_names


@dataclass(frozen=True)
class Job:
    """What the loop needs."""

    network: nn.Module
    spec: StudentSpec
    recipe: Recipe
    pacing: Pacing
    seed: int
    scene: Scene
    teller: Teller
    feed: Callable[[], Feed]
    judge: Callable[[], AbstractContextManager[Validation]] | None
    """opens what judges it on validation images; None: not judged while it learns"""
    measure: Measure
    """what the score is that keeps the best weights"""
    pace: Pace
    layer_of: Callable[[str], int]
    layers: int
    no_decay: Callable[[str, nn.Parameter], bool]
    compiled: bool
    stop_at: int | None
    trackers: tuple[str, ...]
    timed: bool


def make_job(record: RunRecord, where: Where, world: World, progress: Progress, *, fresh: bool = True) -> Job:
    """Open and check everything. `fresh`: the network gets the weights a run begins with; else a checkpoint will fill it."""
    check_names(where.trackers)
    scene, teller = _scene_and_teller(record, where, world, progress)
    recipe, pacing = record.recipe, record.pacing
    if recipe.objective.truth:
        fits.check_truth(scene.dataset, record.student.classes, scene.labels is not None)
    network = _network(record, where, fresh)
    if where.recompute:
        network.set_grad_checkpointing(True)  # type: ignore[operator]  # timm's networks have it, nn.Module has not
    workers = where.render_workers
    asked = recipe.optimiser
    warmup = round(asked.warmup * pacing.steps_an_epoch + asked.warmup_share * pacing.steps)
    # A student that shares the teacher's encoder need not see an image of which that was kept.
    sees = None if record.student.blocks is not None and INPUTS in teller.signals else record.student.input

    def feed() -> Feed:
        strict = record.cache is not None and not Cache.open(Path(record.cache.path)).missing
        return Feed(scene, teller, size=sees, micro=pacing.micro, workers=workers, strict=strict)

    return Job(
        network=network,
        spec=record.student,
        recipe=recipe,
        pacing=pacing,
        seed=record.seed,
        scene=scene,
        teller=teller,
        feed=feed,
        judge=validation_of(record, where, world),
        measure=measure_of(record),
        pace=Pace(asked, pacing.steps, min(warmup, pacing.steps // 2)),
        layer_of=layer_of(record.student, network),
        layers=layer_count(record.student, network),
        no_decay=no_decay,
        compiled=where.compiled,
        stop_at=where.stop_at,
        trackers=where.trackers,
        timed=where.timed,
    )


def _scene_and_teller(record: RunRecord, where: Where, world: World, progress: Progress) -> tuple[Scene, Teller]:
    batch = record.recipe.batch // world.size
    owner = "this run" if record.cache is None else record.cache.path
    progress.doing("listing the images")
    anew = "start a new run" if record.cache is None else "build a new cache of these images"
    source, listing = images_again(record.dataset, where.data, owner=owner, anew=anew)
    if world.first and (small := enlargement(source, listing, record.student.input, "the student")):
        progress.warn(small)
    if record.cache is None:
        scene = Scene.of_listing(source, listing, record.views)
        share = Share(len(listing), batch, world.rank, world.size, drop_last=True)
        return scene, Drawn(scene, views=record.pacing.views, seed=record.seed, share=share)
    cache = _same_cache(record)
    fits.check_student(cache, record.student, record.recipe)
    if cache.teacher.weights.random:
        progress.warn("this cache was made with RANDOM WEIGHTS: good for measuring time, not for learning anything")
    scene = Scene.of_cache(cache, source)
    share = Share(len(cache), batch, world.rank, world.size, drop_last=True)
    if record.stream == "on":
        return scene, _connected(record, cache, scene, share, where, world)
    fits.check_cache(cache, record.recipe, record.pacing.views)
    if world.first:
        fits.check_replay(cache, source, where.render_workers, progress, seed=record.seed)
    world.wait()
    views, device = record.pacing.views, str(world.device)
    signals = _signals(record, cache)
    return scene, Cached(cache, views=views, seed=record.seed, share=share, signals=signals, device=device)


def _signals(record: RunRecord, cache: Cache) -> tuple[str, ...]:
    """What is read: what is matched, and what the shared encoder said, where that was kept."""
    kept = cache.plan.codecs()
    shared = INPUTS if record.student.blocks is not None and INPUTS in kept else None
    return tuple(signal for signal in (record.recipe.objective.signal, shared) if signal is not None)


def _same_cache(record: RunRecord) -> Cache:
    assert record.cache is not None
    cache = Cache.open(Path(record.cache.path))
    if cache.plan.identity != record.cache.identity:
        raise Mismatch(
            f"{cache.path} is another cache now: its identity is {cache.plan.identity}, the run began with "
            f"{record.cache.identity}",
            hint="bring the old cache back, or start a new run",
        )
    return cache


def _connected(record: RunRecord, cache: Cache, scene: Scene, share: Share, where: Where, world: World) -> Teller:
    """The teacher itself, on the rows and views the cache has or would have."""
    from kdcache.teachers.reopen import reopen_teacher

    views = fits.check_views(cache, record.pacing.views)
    teacher = reopen_teacher(cache.teacher, device=str(world.device), weights=where.weights, head=where.head)
    # A cache that is not built has rejected nothing yet: what cannot be read then weighs nothing.
    rejected = None if cache.missing else cache.rejected
    drawn = Drawn(scene, views=views, seed=record.seed, share=share, rejected=rejected)
    return Connected(drawn, teacher, cache.plan.batch)


def torch_seed(seed: int) -> int:
    """A seed as torch takes it, which has no room for more than 64 bits."""
    return seed if -(1 << 63) <= seed < 1 << 63 else seed % (1 << 63)


def _network(record: RunRecord, where: Where, fresh: bool) -> nn.Module:
    """The student as it is before the first step: random weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(record.seed))
        network = build_student(record.student)
        if fresh and not record.started_from and record.cache is not None:
            begin(network, record.student, record.cache.teacher, where.weights)
        if fresh and record.started_from:
            path = record.started_from.rpartition(" ")[0]
            rows = HeadRows(Path(record.head_rows), "mean") if record.head_rows else None
            head: Head = "new" if record.new_head else "keep"
            load_weights(network, record.student, weights_file(path), head=head, rows=rows)
            if record.cache is not None:
                check_shared(network, record.student, record.cache.teacher, where.weights)
    return network
