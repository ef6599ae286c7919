"""Open the teacher of a plan again, and check that it is the same one."""

from typing import TYPE_CHECKING

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import TeacherSpec, Weights
from kdcache.teachers.loading.sizes import CUSTOM
from kdcache.teachers.registry import PLUGINS, open_teacher
from kdcache.teachers.teacher import Teacher

if TYPE_CHECKING:
    from torch import nn

_NOBODY = Weights(source="none", sha256="none")


def reopen_teacher(spec: TeacherSpec, *, device: str, weights: str | None = None, head: str | None = None) -> Teacher:
    """Open the teacher that a cache was built with. `weights` and `head`: where its files lie on this machine.

    Without `weights`, they are fetched or found from the plan: published ones by name, a run at its recorded path (or by
    name or digest in ./kd/runs). Only weights from a file must always be given.
    """
    found = _weights(spec, weights)
    by_model, sized = _how_written(spec.family)
    teacher = open_teacher(
        f"{spec.family}:{spec.size}" if by_model else spec.family,
        size=spec.size if sized and spec.size != CUSTOM else None,
        weights=found,
        head=_head(spec, head),
        signals=tuple(signal.name for signal in spec.signals),
        precision=spec.precision,
        device=device,
        classes=spec.classes,
        templates=_templates(spec),
        planned=spec.preprocess,
        planned_weights=spec.weights,
    )
    check_same(spec, teacher.spec)
    return teacher


def _how_written(family: str) -> tuple[bool, bool]:
    """Whether teachers of a family are named FAMILY:NAME, and whether they have sizes. An unknown family is refused later."""
    record = PLUGINS.find(family)
    return (False, True) if record is None else (record.by_model, record.sizes is not None or bool(record.packaged))


def reopen_network(spec: TeacherSpec, *, weights: str | None = None) -> "nn.Module":
    """The frozen network of the teacher in `spec`, on the CPU, for a student that is initialised from a part of it."""
    from kdcache.teachers.frozen import FrozenTeacher

    teacher = reopen_teacher(spec, device="cpu", weights=weights)
    assert isinstance(teacher, FrozenTeacher), "the one implementation there is"
    return teacher.network


def _weights(spec: TeacherSpec, given: str | None) -> str | None:
    kind, _, name = spec.weights.source.partition(":")
    if kind == "imported":
        hint = "check the bytes only: kd cache verify without --teacher"
        raise UsageError(f"the teacher of this cache is not known to kd ({spec.weights.source})", hint=hint)
    if kind == "file" and given is None:
        hint = f"pass --weights PATH_OF_{name}"
        raise UsageError(f"the teacher of this cache came from a file ({spec.weights.source})", hint=hint)
    if kind == "hub" and given is None:
        return spec.weights.source
    return "random" if spec.weights.random else given


def _head(spec: TeacherSpec, given: str | None) -> str | None:
    if given is None and spec.head is not None and spec.head.source.startswith("file:"):
        hint = f"pass --head PATH_OF_{spec.head.source.removeprefix('file:')}"
        raise UsageError(f"the logits of this cache came from a head file ({spec.head.source})", hint=hint)
    return given


def _templates(spec: TeacherSpec) -> str | None:
    """Name of the known prompt templates of zero-shot logits; a plan does not contain a user's own templates."""
    kind, _, name = spec.head.source.partition(":") if spec.head else ("", "", "")
    if kind != "zero-shot":
        return None
    if name == "own templates":
        hint = "verify without --teacher: the prompts of this cache were read from a file and are not in its plan"
        raise UsageError("the teacher of this cache used prompt templates of its own", hint=hint)
    return name


def check_same(planned: TeacherSpec, opened: TeacherSpec) -> None:
    """Mismatch, naming the first difference, if a teacher is not the planned one."""
    ours_head, theirs_head = planned.head or _NOBODY, opened.head or _NOBODY
    for name, ours, theirs in (
        ("weights sha256", planned.weights.sha256, opened.weights.sha256),
        ("settings (config.json or the like)", *_settings(planned.weights, opened.weights)),
        ("head sha256", ours_head.sha256, theirs_head.sha256),
        ("settings of the text tower", *_settings(ours_head, theirs_head)),
        ("signals", planned.signals, opened.signals),
        ("taps", planned.taps, opened.taps),
        ("classes", planned.classes, opened.classes),
        ("precision", planned.precision, opened.precision),
    ):
        if ours != theirs:
            raise Mismatch(
                f"this is not the teacher of the cache: {name} is {_short(theirs)}, but the plan records {_short(ours)}",
                hint="set --weights (and --head) to the files that the cache was built with",
            )


def _settings(planned: Weights, opened: Weights) -> tuple[str | None, str | None]:
    """Both settings digests. Plans of earlier versions have none, so they match any."""
    return planned.settings, opened.settings if planned.settings is not None else None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
