"""Checks before training: the cache has the required signals and views, is complete, and still matches the images.

Every refusal names both sides and the way out.
"""

import shlex
from collections.abc import Mapping, Sequence

from kdcache.base.progress import Progress
from kdcache.cache import Cache
from kdcache.check.sampling import VerifyOptions, sample, views_that_drift
from kdcache.errors import Drift, Incomplete, Mismatch, UsageError
from kdcache.images.source import Source
from kdcache.signals.teacher import TeacherSpec
from kdcache.store.again import way_to_build
from kdcache.store.drift import pixels_hint
from kdcache.views.recipe import drawable
from students.base.class_names import first_difference
from students.families.registry import FAMILIES, family_of, student_preset
from students.families.spec import StudentSpec
from students.judging.matching import is_unnamed, match_classes
from students.recipe import Recipe

REPLAYED = 64
"""Number of views that are rendered again before a training and compared with the cache."""


def check_outputs(student: StudentSpec, recipe: Recipe, name: str, usual: str) -> None:
    """The student gives what the objectives compare. `usual`: a recipe that fits the student."""
    gives = family_of(student).outputs(student)
    if missing := [output for output in recipe.needs.outputs if output not in gives]:
        raise Mismatch(
            f"the recipe {name} compares the student's {' and '.join(missing)}, and {student.name} gives {', '.join(gives)}",
            hint=f"--recipe {usual}",
        )


def check_cache(cache: Cache, views: Sequence[int] | None) -> None:
    """Views and parts."""
    plan = cache.plan
    drawable(plan.views.recipe)
    wanted = check_views(cache, views)
    missing = [part for part in cache.missing if part.view in wanted]
    if missing:
        raise Incomplete(
            f"{cache.path} is not finished: {len(missing):,} parts are missing, the first is {missing[0]}",
            hint=way_to_build(cache.path, plan),
        )


def class_names(teacher: TeacherSpec) -> tuple[str, ...] | None:
    """What a teacher's distribution over classes is over; numbered where nobody knows the names. None: it gives none."""
    over = next((signal for signal in teacher.signals if signal.names_classes), None)
    if over is None:
        return None
    return teacher.classes or tuple(f"class {number}" for number in range(over.classes))


def check_views(cache: Cache, views: Sequence[int] | None) -> Sequence[int]:
    """The views to use, all of which the cache has or would have."""
    wanted = range(cache.views) if views is None else views
    beyond = [view for view in wanted if not 0 <= view < cache.views]
    if beyond:
        more = max(beyond) + 1 - cache.views
        last = f"views are numbered from 0 to {cache.views - 1}"
        way = f"kd cache add-views {cache.path} {more} and then kd cache build --out {cache.path}"
        raise UsageError(
            f"view {beyond[0]} is requested, but {cache.path} has {cache.views}",
            hint=f"{last}; {way}" if min(beyond) >= 0 else last,
        )
    return wanted


def way_to_keep(teacher: TeacherSpec, source: Mapping[str, object], signals: tuple[str, ...]) -> str:
    """The command that has the same teacher keep these signals of the same images."""
    from kdcache.teachers.registry import families, needs_head, options_for

    words = ["kd cache build", *map(shlex.quote, options_for(teacher))]
    place = next((source[key] for key in ("path", "pattern") if key in source), None)
    words += ["--data", shlex.quote(str(place))] if place else []
    head = ""
    if needs_head(teacher, signals):
        able = [family.name for family in families() if family.sizes is not None and family.headless is False]
        other = f"; or --teacher {able[0]}, which needs no head" if able else ""
        head = f" --head FILE (kd teacher fit-head makes one){other}"
    return f"{' '.join(words)} --signal {','.join(signals)}{head}"


def check_classifier(student: str) -> None:
    """UsageError for a student whose family has no classifier that could be trained alone."""
    if FAMILIES.get(student_preset(student).family).classifier is None:
        raise UsageError(
            f"{student} has no classifier, which is what --freeze trains",
            hint="kd eval RUN --task probe fits a linear classifier on its embedding",
        )


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
        ours, theirs = first_difference(classes, run)
        if numbers is not None:
            place = int((numbers != range(len(run))).argmax())
            ours, theirs = classes[place], run[place]
        differ += f"; the first that differs: {ours!r} and {theirs!r}"
    rows = "" if taught else ", or --head-rows FILE (of kd finetune) to begin with rows of the old one"
    raise Mismatch(differ, hint=f"--new-head begins with a new classifier{rows}")


def check_replay(cache: Cache, source: Source, workers: int, progress: Progress, *, seed: int) -> None:
    """Render a sample of views again: the pixels must be those the teacher saw."""
    store = cache.reader.store
    rows = sample(store, store.built(), REPLAYED, seed)
    count = sum(len(each) for _, each in rows)
    progress.start("replay", count)
    found = list(views_that_drift(store, source, rows, VerifyOptions(workers=workers), progress))
    progress.finish()
    if found:
        first = "; ".join(drift.what for drift in found[:3])
        raise Drift(
            f"{len(found)} of {count} sampled views are not what the teacher saw: {first}",
            hint=f"{pixels_hint(cache.path, cache.plan)}; kd cache verify {cache.path} --replay 1000 counts how many differ",
        )


def check_pieces(recipe: Recipe, student: StudentSpec, micro: int, processes: int) -> None:
    """Mismatch where the norms of a student cannot be trained on a batch cut into pieces of `micro` images."""
    if not recipe.freezes_norms and processes == 1:
        family_of(student).check_batch(student, recipe.batch, micro)
