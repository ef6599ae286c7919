"""A training with everything at hand: network, images, teller, and the checks that had to pass. Made from a run record.

Input: a record (new, or read back from a run that was stopped) and this machine. Output: a Job the loop can work on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from kdcache.cache import Cache
from kdcache.errors import Damage, Mismatch
from kdcache.images import Source, open_source
from kdcache.progress import Progress
from kdcache.stream import Share
from students import fits
from students.feed import Feed
from students.ground import class_names
from students.models import build_student, layer_count, layer_of, load_weights, no_decay
from students.models.loading import Head, HeadRows
from students.models.spec import StudentSpec
from students.optimise import Pace
from students.options import Where
from students.plan_run import weights_file
from students.recipe import Recipe
from students.runs import Pacing, RunRecord
from students.scene import Scene
from students.tasks.pictures import Pictures, labelled
from students.tellers import Cached, Connected, Drawn, Teller
from students.trackers import check_names
from students.world import World


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
    pictures: Callable[[], Pictures] | None
    """validation images; None: not judged while it learns"""
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
    if recipe.objective.hard:
        fits.check_truth(scene.dataset, record.student.classes, scene.labels is not None)
    network = _network(record, fresh)
    if where.recompute:
        network.set_grad_checkpointing(True)  # type: ignore[operator]  # timm's networks have it, nn.Module has not
    workers = where.render_workers
    warmup = round(recipe.optimiser.warmup * pacing.steps_an_epoch)

    def feed() -> Feed:
        strict = record.cache is not None and not Cache.open(Path(record.cache.path)).missing
        return Feed(scene, teller, size=record.student.input, micro=pacing.micro, workers=workers, strict=strict)

    return Job(
        network=network,
        spec=record.student,
        recipe=recipe,
        pacing=pacing,
        seed=record.seed,
        scene=scene,
        teller=teller,
        feed=feed,
        pictures=_pictures(record, workers, world),
        pace=Pace(recipe.optimiser, pacing.steps, min(warmup, pacing.steps // 2)),
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
    source = fits.found_source(record.dataset.source, where.data)
    listing = source.scan()
    fits.check_images(record.dataset, source, listing)
    if record.cache is None:
        scene = Scene.of_listing(source, listing, record.views)
        share = Share(len(listing), batch, world.rank, world.size, drop_last=True)
        return scene, Drawn(scene, views=record.pacing.views, seed=record.seed, share=share)
    cache = _same_cache(record)
    if class_names(cache.teacher) != record.student.classes:
        raise Mismatch(
            f"{cache.path} speaks of {len(class_names(cache.teacher)):,} classes, the student of "
            f"{len(record.student.classes):,} or others",
            hint="train a new student from this cache, or build a cache with the student's classes",
        )
    if cache.teacher.weights.random:
        progress.note("this cache was made with RANDOM WEIGHTS: good for measuring time, not for learning anything")
    scene = Scene.of_cache(cache, source)
    share = Share(len(cache), batch, world.rank, world.size, drop_last=True)
    if record.stream == "on":
        return scene, _connected(record, cache, scene, share, where, world)
    fits.check_cache(cache, record.recipe, record.pacing.views)
    if world.first:
        fits.check_replay(cache, source, where.render_workers, progress, seed=record.seed)
    world.wait()
    soft = bool(record.recipe.objective.soft)
    views, device = record.pacing.views, str(world.device)
    return scene, Cached(cache, views=views, seed=record.seed, share=share, soft=soft, device=device)


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


def _network(record: RunRecord, fresh: bool) -> nn.Module:
    """The student as it is before the first step: random weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(record.seed)
        network = build_student(record.student)
        if fresh and record.started_from:
            path = record.started_from.rpartition(" ")[0]
            rows = HeadRows(Path(record.head_rows), "mean") if record.head_rows else None
            head: Head = "new" if record.new_head else "keep"
            load_weights(network, record.student, weights_file(path), head=head, rows=rows)
    return network


def _pictures(record: RunRecord, workers: int, world: World) -> Callable[[], Pictures] | None:
    if record.val is None:
        return None
    if not world.first:
        return lambda: _never()
    source: Source = open_source(record.val.source)
    listing = source.scan()
    if listing.fingerprint != record.val.fingerprint:
        raise Damage(
            f"the validation images {source.name} have changed: {listing.fingerprint}, the run began with "
            f"{record.val.fingerprint}",
            hint="bring them back, or start a new run",
        )
    images = labelled(source, listing).named_by(record.student)
    return lambda: Pictures(images, record.student, workers=workers, batch=record.pacing.micro)


def _never() -> Pictures:
    raise AssertionError("only the first process judges")
