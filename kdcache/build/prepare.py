"""From options to a plan: scan the source, open the teacher, run one batch. Nothing is written."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from kdcache.base.machine import default_batch
from kdcache.base.newest import CACHES
from kdcache.base.notes import Note
from kdcache.base.progress import Progress, Silent
from kdcache.base.versions import library_versions
from kdcache.build.check import check_asked
from kdcache.build.misfit import refuse_misfit
from kdcache.build.notes import notes_on, warnings_on
from kdcache.build.options import BuildOptions
from kdcache.build.so_far import older_pixels_note, preprocess_so_far
from kdcache.build.trial import Trial, run_trial
from kdcache.codecs import default_codec, make_codec
from kdcache.codecs.codec import Codec
from kdcache.errors import Drift, Mismatch, Unavailable, UsageError
from kdcache.images.source import Listing, Source
from kdcache.signals.teacher import Preprocess, TeacherSpec
from kdcache.store import Store
from kdcache.store.layout import choose_layout
from kdcache.store.plan import Dataset, Layout, Plan, StoredSignal, ViewPlan
from kdcache.store.same_images import same_place
from kdcache.teachers.embedded import images_and_size
from kdcache.views.recipe import on

if TYPE_CHECKING:
    from kdcache.teachers.teacher import Teacher

MAX_ROWS_PER_PART = 16384


@dataclass(frozen=True)
class Prepared:
    """A build that is ready to start: its plan, and the opened source and teacher."""

    options: BuildOptions
    out: Path
    plan: Plan
    source: Source
    listing: Listing
    teacher: "Teacher"
    trial: Trial | None
    """Measurements of one batch; None when the plan existed already."""
    store: Store | None
    """The cache that this build goes on with, open; None where a new one begins."""
    notes: tuple[Note, ...]
    warnings: tuple[str, ...] = ()
    """Warnings about what may make the cache useless or expensive."""


def prepare(
    options: BuildOptions, out: Path | None = None, *, quick: bool = False, progress: Progress | None = None
) -> Prepared:
    """Make the plan of a build. Where `out` already holds the same cache unfinished, the build will resume it.

    `quick` is for estimates: a slow teacher is run on a few images instead of a batch, and the content of `out` is ignored.
    """
    progress, augment = progress or Silent(), check_asked(options, out)
    store = None if quick else Store.at(out)
    there = None if store is None else store.plan
    like = there.dataset.source if there else None
    source, size = images_and_size(options.teacher, options.size, options.weights, options.data, like)
    listing = _listed(options, source, progress)
    if store is not None and same_place(store.plan.dataset, source):
        store.expect_images(source, listing, given=options.data)
    offered = listing.classes or (_unnamed_classes() if quick else None)
    progress.note("loading the teacher")
    progress.doing("loading the teacher")
    teacher = _open_teacher(options, size, offered, preprocess_so_far(there, options, size))
    recipe = augment or on(teacher.spec.preprocess.geometry, options.background)
    views = ViewPlan(recipe=recipe, seed=options.seed, count=options.views)
    # A resumed cache keeps its batch size, whatever would be chosen for this device now.
    asked = options.batch or (there and there.batch) or _usual_batch(options, teacher)
    progress.doing("measuring the teacher on a batch")
    trial = run_trial(teacher, source, listing, views, asked, quick=progress if quick else None)
    codecs = {s.name: make_codec(options.codecs.get(s.name) or default_codec(s), s) for s in teacher.spec.signals}
    layout = _layout(options, codecs, len(listing), trial.batch, there)
    plan = Plan(
        teacher=teacher.spec if there is None else _called_as_there(teacher.spec, there.teacher),
        dataset=Dataset.of(source, listing),
        views=views,
        signals=tuple(_stored(codec, layout, trial) for codec in codecs.values()),
        batch=trial.batch,
        layout=layout,
        versions=library_versions(),
    )
    if out is not None and there is not None:
        refuse_misfit(out, there, plan)
    notes = (*notes_on(options, plan, asked), *older_pixels_note(there))
    found = with_weights_of(options, teacher.spec)
    warnings = tuple(warnings_on(plan, source, listing))
    prepared = Prepared(found, out or CACHES, plan, source, listing, teacher, trial, store, notes, warnings)
    return prepared if out is not None else _in_usual_place(prepared, options, progress, quick=quick)


def with_weights_of(options: BuildOptions, teacher: TeacherSpec) -> BuildOptions:
    """The options for opening this teacher again, with the location where its run was found."""
    return replace(options, weights=options.weights or teacher.weights.path)


def _called_as_there(teacher: TeacherSpec, planned: TeacherSpec) -> TeacherSpec:
    """Keep the planned name of a run used as a teacher: weights identify it, so it may have been renamed since."""
    if teacher.weights.path is None or teacher.weights.sha256 != planned.weights.sha256:
        return teacher
    weights = teacher.weights.model_copy(update={"source": planned.weights.source})
    return teacher.model_copy(update={"size": planned.size, "weights": weights})


def _listed(options: BuildOptions, source: Source, progress: Progress) -> Listing:
    """List the images; UsageError when there are none."""
    progress.doing("listing the images")
    listing = source.scan()
    if not len(listing):
        raise Unavailable(f"no images in {options.data}", hint="check --data: images are known by their file extension")
    return listing


def _usual_batch(options: BuildOptions, teacher: "Teacher") -> int:
    return default_batch(teacher.spec.preprocess.size, options.device, options.step)


def _open_teacher(
    options: BuildOptions, size: str | None, offered: tuple[str, ...] | None, planned: Preprocess | None
) -> "Teacher":
    from kdcache.teachers.registry import open_teacher

    return open_teacher(
        options.teacher,
        size=size,
        planned=planned,
        weights=options.weights,
        head=options.head,
        signals=options.kept,
        precision=options.precision,
        device=options.device,
        input_size=options.input_size,
        classes=_lines(options.classes) if options.classes else None,
        offered=offered,
        templates=_lines(options.templates) if options.templates else None,
    )


def _unnamed_classes() -> tuple[str, ...]:
    """Made-up class names, as many as ImageNet-21k has: to estimate logits when the images have no classes."""
    return tuple(f"class {number}" for number in range(21_841))


def _lines(file: str) -> tuple[str, ...]:
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"no file {file}", hint="give a text file with one entry a line")
    return tuple(line for line in path.read_text("utf-8").splitlines() if line.strip())


def _layout(options: BuildOptions, codecs: dict[str, Codec], rows: int, batch: int, there: Plan | None) -> Layout:
    return choose_layout(
        [field for codec in codecs.values() for field in codec.fields()],
        rows=rows,
        batch=batch,
        backend=options.backend,
        compression=options.compression,
        max_rows=options.part_rows or MAX_ROWS_PER_PART,
        self_describing=there is None or there.layout.self_describing,
    )


def _stored(codec: Codec, layout: Layout, trial: Trial) -> StoredSignal:
    shares = (f.row_bytes / (layout.rows_per_part if f.per_part else 1) for f in codec.fields())
    return StoredSignal(
        signal=codec.signal,
        codec=codec.name,
        bytes_per_row=sum(shares),
        error=codec.error(trial.emitted[codec.signal.name]),
    )


def _in_usual_place(prepared: Prepared, options: BuildOptions, progress: Progress, *, quick: bool) -> Prepared:
    """The build in `kd/caches/TEACHER-SIZE-DATA`, with a number appended if another cache has that name. The same
    cache is continued, and so is one that an earlier version planned, from its plan."""
    plan = prepared.plan
    for out, store in _usual_outs(plan):
        if store is None or store.plan.identity == plan.identity:
            return replace(prepared, out=out, store=store)
        if not (quick or store.plan.layout.self_describing) and _facts(store.plan) == _facts(plan):
            try:
                return prepare(options, out, progress=progress)
            except (Mismatch, Drift):
                continue
    raise AssertionError("unreachable: one of the folders is free")


def _usual_outs(plan: Plan) -> Iterator[tuple[Path, Store | None]]:
    """The folders that a build may choose with the caches in them; the last one is the first without a cache (None)."""
    name = f"{plan.teacher.family}-{plan.teacher.size}-{plan.dataset.name}".replace("/", "-").replace(":", "-")
    for number in count(1):
        out = CACHES / (name if number == 1 else f"{name}-{number}")
        if not out.exists():
            yield out, None
            return
        if (there := Store.at(out)) is not None:
            yield out, there


def _facts(plan: Plan) -> tuple[object, ...]:
    """The facts by which two plans can be compared without opening their images and teachers."""
    teacher, views = plan.teacher, plan.views
    codecs = tuple((stored.signal.name, stored.codec) for stored in plan.signals)
    return (
        teacher.weights.sha256,
        teacher.precision,
        codecs,
        plan.dataset.rows,
        views.recipe.kind,
        views.seed,
        views.count,
    )
