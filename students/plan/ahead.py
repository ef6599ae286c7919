"""Plans a training from a cache that does not exist yet, to measure what its step would cost (students/train/step_time.py).

Input: the plan of the cache, and a student or none to choose one. Output: the record of a run that is never started. A student
that cannot be trained from that cache is refused as it would be by `kd train`.
"""

from kdcache.base.figures import listed
from kdcache.config.presets import load_preset
from kdcache.errors import KDError, Mismatch
from kdcache.store.plan import Plan
from students.base.truths import CLASS
from students.families.registry import student_names, student_spec
from students.options import MachineOptions
from students.plan.checks import check_pieces, class_names
from students.plan.pacing import default_piece
from students.plan.plan import DEFAULT_STUDENT
from students.plan.recipe import recipe_name, with_precision
from students.plan.sides import check_sides, sides_of
from students.recipe import Recipe
from students.runs.caches import CacheRecord
from students.runs.record import Pacing, RunRecord

PLANNED = "the planned cache"
"""Stands where a run record has the path of its cache."""


def planned_run(plan: Plan, student: str | None = None, *, size: int | None = None, device: str) -> RunRecord:
    """A run of `student` with its default recipe; None: the default student, or else the first that learns from this cache."""
    if student is not None:
        return _record(plan, student, size, device)
    for name in dict.fromkeys((DEFAULT_STUDENT, *student_names())):
        try:
            return _record(plan, name, size, device)
        except KDError:
            continue  # of another teacher, or of signals that are not kept
    kept = listed([stored.signal.name for stored in plan.signals])
    raise Mismatch(f"no student learns from {kept} of {plan.teacher.family} alone", hint="kd student list")


def _record(plan: Plan, name: str, size: int | None, device: str) -> RunRecord:
    recipe = load_preset("recipes", recipe_name(None, name, plan.dataset.source), Recipe)
    where = MachineOptions(device=device)
    recipe = with_precision(recipe, where)
    classes = class_names(plan.teacher) or plan.dataset.classes or ()
    spec = student_spec(name, classes=classes, size=size or recipe.input, drop_path=recipe.drop_path_of(name))
    cache = CacheRecord(
        path=PLANNED,
        identity=plan.identity,
        teacher=plan.teacher,
        signals={stored.signal.name: stored.codec for stored in plan.signals},
    )
    epoch = max(1, plan.dataset.rows // recipe.batch)
    steps = recipe.steps or max(1, round((recipe.epochs or 0) * epoch))
    record = RunRecord(
        kind="train",
        student=spec,
        recipe=recipe,
        seed=0,
        stream="off",
        dataset=plan.dataset,
        views=plan.views,
        cache=cache,
        pacing=Pacing(
            steps=steps,
            steps_an_epoch=epoch,
            micro=min(default_piece(spec.input, where), recipe.batch),
            views=None,
            log_every=steps,
            validate_every=steps,
            keep_every=steps,
        ),
        versions=plan.versions,
    )
    check_pieces(recipe, spec, record.micro, 1)
    check_sides(record, sides_of(record, _columns(plan)))
    return record


def _columns(plan: Plan) -> dict[str, tuple[str, ...] | None]:
    """The truth columns that are known of the images without opening them: their classes."""
    return {CLASS: plan.dataset.classes} if plan.dataset.classes else {}


def epochs_of(record: RunRecord) -> float:
    """Passes over the images that the recipe takes."""
    return record.recipe.epochs or record.pacing.steps / record.pacing.steps_an_epoch
