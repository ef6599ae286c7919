"""Before the first step: does the cache fit what is asked of it, is all of it there, are these still the images?

Every refusal names both sides and the way out.
"""

import shlex
from collections.abc import Sequence
from typing import get_args

from kdcache.base.progress import Progress
from kdcache.cache import Cache
from kdcache.check.sampling import Ask, sample, views_that_drift
from kdcache.errors import Drift, Incomplete, Mismatch, UsageError
from kdcache.images.source import Source
from kdcache.signals.teacher import BY_MODEL, HEADLESS, TeacherSpec
from kdcache.store import Store
from kdcache.store.again import way_to_build
from kdcache.store.drift import pixels_hint
from kdcache.store.plan import Dataset
from kdcache.views.recipe import drawable
from students.base.types import LOGITS, Dense
from students.families.spec import StudentSpec
from students.judging.matching import is_unnamed, match_classes
from students.recipe import Recipe

REPLAYED = 64
"""views rendered again before a training"""


def check_cache(cache: Cache, recipe: Recipe, views: Sequence[int] | None) -> None:
    """Signals, views and parts."""
    plan = cache.plan
    drawable(plan.views.recipe)
    signal = recipe.objective.signal
    if signal == LOGITS and signal not in plan.codecs():
        raise no_logits(cache, "but the recipe asks for soft labels")
    if signal is not None and signal not in plan.codecs():
        raise Mismatch(
            f"{cache.path} keeps {', '.join(plan.codecs())}, but the recipe matches {signal}",
            hint=_way_to_match(cache, signal),
        )
    wanted = check_views(cache, views)
    missing = [part for part in cache.missing if part.view in wanted]
    if missing:
        raise Incomplete(
            f"{cache.path} is not finished: {len(missing):,} parts are missing, the first is {missing[0]}",
            hint=way_to_build(cache.path, plan),
        )


def _way_to_match(cache: Cache, signal: str) -> str:
    """Another signal of the cache that can be matched, or the command that keeps this one."""
    if other := next((kept for kept in cache.plan.codecs() if kept in get_args(Dense)), None):
        return f"--set objective.signal={other}"
    if cache.teacher.family != "data2vec":
        return f"kd cache build --teacher data2vec --signal inputs,{signal}"
    return f"{' '.join(_again(cache))} --signal inputs,{signal}"


def check_student(cache: Cache, student: StudentSpec, recipe: Recipe) -> None:
    """The teacher speaks of what the student can say."""
    if student.blocks is not None:
        said = next((signal for signal in cache.teacher.signals if signal.name == recipe.objective.signal), None)
        if recipe.objective.signal == "cls-layers" and said is not None and said.shape[0] < student.blocks.depth:
            raise Mismatch(
                f"{student.name} has {student.blocks.depth} blocks, the teacher of {cache.path} tells of {said.shape[0]} layers",
                hint="a student of fewer blocks, or --set objective.signal=targets",
            )
        return
    names = class_names(cache.teacher)
    if names != student.classes:
        raise Mismatch(
            f"{cache.path} speaks of {len(names):,} classes, the student of {len(student.classes):,} or others",
            hint="train a new student from this cache, or build a cache with the student's classes",
        )


def class_names(teacher: TeacherSpec) -> tuple[str, ...]:
    """What the logits of a teacher stand for; numbered where nobody knows the names."""
    if teacher.classes is not None:
        return teacher.classes
    return tuple(f"class {number}" for number in range(teacher.signal(LOGITS).shape[0]))


def check_views(cache: Cache, views: Sequence[int] | None) -> Sequence[int]:
    """The views to use, all of which the cache has or would have."""
    wanted = range(cache.views) if views is None else views
    beyond = [view for view in wanted if not 0 <= view < cache.views]
    if beyond:
        more = max(beyond) + 1 - cache.views
        last = f"views are numbered from 0 to {cache.views - 1}"
        way = f"kd cache add-views {cache.path} {more} and then kd cache build --out {cache.path}"
        raise UsageError(
            f"view {beyond[0]} is asked for, but {cache.path} has {cache.views}",
            hint=f"{last}; {way}" if min(beyond) >= 0 else last,
        )
    return wanted


def no_logits(cache: Cache, why: str) -> Mismatch:
    """What a cache without logits keeps, and how one with logits is made of the same images."""
    plan = cache.plan
    teacher, words = plan.teacher, _again(cache)
    head = " --head FILE (kd teacher fit-head makes one)" if _is_headless(teacher) else ""
    clip = "; or --teacher clip, which needs no head" if head else ""
    return Mismatch(
        f"{cache.path} keeps {', '.join(plan.codecs())}: the teacher was asked for no logits, {why}",
        hint=f"{' '.join(words)} --signal logits{head}{clip}",
    )


def _is_headless(teacher: TeacherSpec) -> bool:
    """It names no classes by itself."""
    if teacher.family == "run":
        return teacher.classes is None
    return teacher.family in HEADLESS and (teacher.family, teacher.size) != ("florence", "nano")


def _again(cache: Cache) -> list[str]:
    """The words of a build with the same teacher and images."""
    teacher, source = cache.teacher, cache.plan.dataset.source
    words = ["kd cache build", "--teacher", shlex.quote(teacher.name)]
    if teacher.family not in BY_MODEL and teacher.size:
        words += ["--size", teacher.size]
    place = next((source[key] for key in ("path", "pattern") if key in source), None)
    return words + (["--data", shlex.quote(str(place))] if place else [])


def check_head(run: tuple[str, ...], classes: tuple[str, ...], *, taught: bool) -> None:
    """The classifier of the run a training begins with is for the same classes in the same order."""
    if len(run) == len(classes) and (run == classes or is_unnamed(classes)):
        return
    whose = "the teacher has" if taught else "the images have"
    differ = f"{whose} {len(classes):,} classes, the run {len(run):,}"
    if len(run) == len(classes):
        try:
            numbers = match_classes(classes, len(classes) - 1, run).numbers
        except Mismatch:
            numbers = None
        if numbers is not None and (numbers == range(len(run))).all():
            return
        ours, theirs = _first_difference(classes, run)
        if numbers is not None:
            place = int((numbers != range(len(run))).argmax())
            ours, theirs = classes[place], run[place]
        differ += f"; the first that differs: {ours!r} and {theirs!r}"
    rows = "" if taught else ", or --head-rows FILE (of kd finetune) to begin with rows of the old one"
    raise Mismatch(differ, hint=f"--new-head begins with a new classifier{rows}")


def check_replay(cache: Cache, source: Source, workers: int, progress: Progress, *, seed: int) -> None:
    """Render a sample of views again: the pixels must be those the teacher saw."""
    store = Store.open(cache.path)
    rows = sample(store, store.built(), REPLAYED, seed)
    count = sum(len(each) for _, each in rows)
    progress.start("replay", count)
    found = list(views_that_drift(store, source, rows, Ask(workers=workers), progress))
    progress.finish()
    if found:
        first = "; ".join(drift.what for drift in found[:3])
        raise Drift(
            f"{len(found)} of {count} sampled views are not what the teacher saw: {first}",
            hint=f"{pixels_hint(cache.path, cache.plan)}; kd cache verify {cache.path} --replay 1000 tells how many they are",
        )


def check_truth(dataset: Dataset, classes: tuple[str, ...], labelled: bool) -> None:
    """True classes of the images are those the student can name."""
    if not labelled or dataset.classes is None:
        raise Mismatch(
            f"the recipe asks for true classes, but the images of {dataset.name} have no labels",
            hint="put them into one folder a class, or train on soft labels alone: --set objective.hard=0",
        )
    if dataset.classes != classes:
        ours, theirs = _first_difference(dataset.classes, classes)
        way = "or use a teacher of these classes"
        if set(dataset.classes) == set(classes):
            way = (
                "or, as they are the same in another order, fit the head again (kd teacher fit-head) and build with it"
            )
        raise Mismatch(
            f"the images of {dataset.name} have {len(dataset.classes):,} classes, the student has {len(classes):,}; "
            f"the first that differs: {ours!r} and {theirs!r}",
            hint=f"train on soft labels alone (--set objective.hard=0), {way}",
        )


def _first_difference(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str | None, str | None]:
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return one, other
    count = min(len(ours), len(theirs))
    return (ours[count] if len(ours) > count else None), (theirs[count] if len(theirs) > count else None)


def check_pieces(student: StudentSpec, batch: int, micro: int) -> None:
    """BatchNorm needs more than one value a channel; where the last map is one pixel, an image alone has no more."""
    if student.windows[-1:] != (1,) or (micro > 1 and batch % micro != 1):
        return
    fitting = next((pieces for pieces in (*range(min(micro, batch), 1, -1), batch) if batch % pieces != 1), 1)
    way = f"--micro {fitting}" if fitting > 1 else "--batch 2 or more"
    raise Mismatch(
        f"a batch of {batch} in pieces of {micro} leaves an image alone, and at {student.input[0]} pixels BatchNorm cannot "
        "take a variance over one image",
        hint=f"{way}, or see more with --size {2 * student.input[0]}",
    )
