"""Open the teacher of a plan again, and make sure that it is the same one."""

from kdcache.errors import Mismatch, UsageError
from kdcache.spec import TeacherSpec
from kdcache.teachers import open_teacher
from kdcache.teachers.teacher import Teacher


def reopen_teacher(
    spec: TeacherSpec, *, device: str, weights: str | None = None, head: str | None = None
) -> Teacher:
    """The teacher a cache was made with; `weights` and `head` say where its files lie on this machine."""
    kind = spec.weights.source.split(":", 1)[0]
    if kind == "file" and weights is None:
        hint = f"pass --weights PATH_OF_{spec.weights.source.removeprefix('file:')}"
        raise UsageError(f"the teacher of this cache came from a file ({spec.weights.source})", hint=hint)
    any_model = spec.family in ("timm", "hf")
    teacher = open_teacher(
        f"{spec.family}:{spec.size}" if any_model else spec.family,
        size=None if any_model else spec.size,
        weights="random" if spec.weights.random else weights,
        head=head,
        signals=tuple(signal.name for signal in spec.signals),
        precision=spec.precision,
        device=device,
        input_size=spec.preprocess.size,
        classes=spec.classes,
    )
    check_same(spec, teacher.spec)
    return teacher


def check_same(planned: TeacherSpec, opened: TeacherSpec) -> None:
    """Refuse a teacher that is not the planned one, naming the first difference."""
    for name, ours, theirs in (
        ("weights sha256", planned.weights.sha256, opened.weights.sha256),
        ("head sha256", planned.head and planned.head.sha256, opened.head and opened.head.sha256),
        ("preprocessing", planned.preprocess, opened.preprocess),
        ("signals", planned.signals, opened.signals),
        ("taps", planned.taps, opened.taps),
        ("classes", planned.classes, opened.classes),
        ("precision", planned.precision, opened.precision),
    ):
        if ours != theirs:
            raise Mismatch(
                f"this is not the teacher of the cache: {name} is {_short(theirs)}, the plan says {_short(ours)}",
                hint="point --weights (and --head) at the files the cache was built with",
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
