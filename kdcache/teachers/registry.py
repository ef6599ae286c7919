"""The registry of teachers: frozen networks that emit signals about views.

`open_teacher("florence")` opens one. A family is imported only when it is opened, with torch, timm and transformers. Families of
this project are folders in families/, those of other packages are entry points of the group `kd.teachers`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdcache.base.plugins import Registry, near
from kdcache.errors import UsageError
from kdcache.teachers.family import HEAD_SIGNAL, LOGITS, TeacherFamily
from kdcache.teachers.first_edition import family_of_opener

if TYPE_CHECKING:
    from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
    from kdcache.teachers.teacher import Teacher

PLUGINS = Registry(
    "kdcache.teachers.families",
    "FAMILY",
    "teacher",
    group="kd.teachers",
    kind=TeacherFamily,
    older={"kdcache.teachers": family_of_opener},
)
DEVICES = ("cpu", "cuda", "mps", "xpu")

__all__ = [
    "check_request",
    "families",
    "families_with_sizes",
    "family_of",
    "has_own_pixels",
    "is_published",
    "name_of",
    "needs_head",
    "open_teacher",
    "options_for",
    "published_preprocess",
    "sizes_of",
    "teacher_names",
    "trainable_names",
    "trainable_sizes",
    "usual_signals",
    "usual_size",
]


def families() -> list[TeacherFamily]:
    """All families that can be imported: first those with sizes, then those named FAMILY:NAME."""
    return sorted(PLUGINS.usable(), key=lambda family: (family.by_model, family.name))


def teacher_names() -> list[str]:
    """The name forms of all families, such as `clip` and `timm:NAME`."""
    return [family.written for family in families()]


def families_with_sizes() -> list[str]:
    """The families with sizes; for the others the name alone selects the model."""
    return [family.name for family in families() if family.sizes is not None]


def family_of(name: str) -> TeacherFamily:
    """The family of a teacher, from its name as users write it."""
    return _split(name)[0]


def sizes_of(family: str) -> list[str]:
    """The sizes of a family, the default one first; empty for families such as `timm`, where the name alone selects the model."""
    from kdcache.teachers.loading.sizes import family_facts

    record = _known(family, family)
    own = [packaged.size for packaged in record.packaged]
    if record.sizes is None:
        return own
    facts = family_facts(record.sizes)
    others = [name for name in facts.sizes if name != facts.default]
    return [facts.default, *others, *own]


def trainable_sizes(family: TeacherFamily) -> list[str]:
    """The sizes of a family that `kd teacher train-nano` can train."""
    return [packaged.size for packaged in family.packaged if packaged.trainer is not None]


def trainable_names() -> list[str]:
    """The families of which `kd teacher train-nano` can train a size."""
    return [family.name for family in families() if trainable_sizes(family)]


def is_published(name: str) -> bool:
    """Whether kd can fetch its weights if the user gives none."""
    return family_of(name).published


def needs_head(teacher: "TeacherSpec", signals: Sequence[str]) -> bool:
    """Whether a teacher of a plan needs a fitted head to emit these signals. False if its family is no longer
    installed."""
    family = PLUGINS.find(teacher.family)
    if family is None or HEAD_SIGNAL not in signals:
        return False
    return teacher.classes is None if family.headless is None else family.needs_head(teacher.size)


def has_own_pixels(family: str) -> bool:
    """Whether the files of a family always specify the preprocessing; False for an unknown name."""
    record = PLUGINS.find(family)
    return record is not None and record.own_pixels


def name_of(teacher: "TeacherSpec") -> str:
    """The name of a plan's teacher as users write it: `clip`, `timm:NAME`; for a run, with its path."""
    family = PLUGINS.find(teacher.family)
    by_model = family is not None and family.by_model
    return f"{teacher.family}:{teacher.weights.path or teacher.size}" if by_model else teacher.family


def options_for(teacher: "TeacherSpec") -> list[str]:
    """The options of `kd cache build` that select the teacher of a plan."""
    family = PLUGINS.find(teacher.family)
    sized = teacher.size and (family is None or not family.by_model)
    return ["--teacher", name_of(teacher), *(["--size", teacher.size] if sized else [])]


def published_preprocess(name: str, size: str | None = None) -> "Preprocess":
    """The preprocessing of a published size of a family, or of one in the package."""
    from kdcache.teachers.loading.sizes import family_facts

    check_request(name, size=size)
    family, _ = _split(name)
    if (own := family.find_packaged(size)) is not None:
        return own.pixels()
    if family.sizes is None:
        message = f"{name} has no published preprocessing: it is in the files of the model"
        raise UsageError(message, hint=f"one of {', '.join(families_with_sizes())}")
    facts = family_facts(family.sizes)
    return facts.size(size or facts.default, family.name).preprocess


def usual_signals(name: str, weights: str | None = None) -> tuple[str, ...]:
    """The signals that a cache of a teacher stores by default. An unknown name is refused elsewhere."""
    start, _, model = name.partition(":")
    family = PLUGINS.find(start)
    return LOGITS if family is None or family.by_model != bool(model) else family.signals_kept(name, weights)


def usual_size(name: str, weights: str | None) -> str | None:
    """The default size of a teacher; None if its weights or its name determine the size."""
    from kdcache.teachers.loading.sizes import family_facts

    family, _ = _split(name)
    if family.sizes is None or weights not in (None, "random"):
        return None
    return family_facts(family.sizes).default


def check_request(name: str, *, size: str | None = None, device: str = "cpu") -> None:
    """Refuse a teacher, a size or a device that does not exist, before anything is loaded."""
    from kdcache.teachers.loading.sizes import CUSTOM

    family, _ = _split(name)
    sizes = sizes_of(family.name) if size is not None else []
    if size is not None and not sizes:
        raise UsageError(f"{name} has no sizes: the name alone selects the model", hint="leave --size out")
    if size is not None and size not in (*sizes, CUSTOM):
        hint = near(size, sizes, otherwise="kd teacher list")
        raise UsageError(f"{family.name} has no size {size!r}; it has {', '.join(sizes)}", hint=hint)
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        hint = " ".join(filter(None, (near(kind, list(DEVICES)), "Devices are cpu, cuda, cuda:1 and so on")))
        raise UsageError(f"no device is called {device!r}", hint=hint)


def open_teacher(
    name: str,
    *,
    size: str | None = None,
    weights: str | None = None,
    head: str | None = None,
    signals: Sequence[str] = ("logits",),
    precision: str = "float32",
    device: str = "cpu",
    input_size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    offered: Sequence[str] | None = None,
    templates: str | Sequence[str] | None = None,
    normalise: str | tuple[tuple[float, float, float], tuple[float, float, float]] | None = None,
    planned: "Preprocess | None" = None,
    planned_weights: "Weights | None" = None,
) -> "Teacher":
    """Open a frozen teacher.

    `size`: a published size, one in the package, or None for the published default. `weights`: None for the published checkpoint
    (or the one in the package), a file, a folder, `hub:REPO`, or `random`; for `run:RUN`, its present folder.
    `head`: a head file for the logits. `classes`: names of the logits, which must match in number. `offered`: class names
    for a teacher without classes (CLIP's zero-shot logits, random heads), such as those of the images. `templates`: CLIP's
    prompt templates, a known name or a list. `normalise`: half, imagenet, clip, or (mean, std), if not the published one.
    `planned`: the preprocessing in a cache's plan; it overrides the published one, `input_size` and `normalise`.
    `planned_weights`: the weights in the plan, when its teacher is opened again.
    """
    check_request(name, size=size, device=device)
    from kdcache.teachers.opened import opened
    from kdcache.teachers.request import Request

    family, model = _split(name)
    request = Request(
        family=family.name,
        model=model,
        size=size or usual_size(name, weights),
        weights=weights,
        head=head,
        signals=tuple(signals),
        precision=precision,
        device=device,
        input_size=(input_size, input_size) if isinstance(input_size, int) else input_size,
        classes=tuple(classes) if classes is not None else None,
        offered=tuple(offered) if offered is not None else None,
        templates=templates if templates is None or isinstance(templates, str) else tuple(templates),
        normalise=normalise,
        planned=planned,
        planned_weights=planned_weights,
    )
    return opened(family.open, request)


def _known(family: str, name: str) -> TeacherFamily:
    """The family of that name, or an error that lists all families. `name`: what the user wrote, for the error."""
    record = PLUGINS.find(family)
    if record is None:
        message = f"unknown teacher {name!r}; there are {', '.join(teacher_names())}"
        raise UsageError(message, hint=near(family, PLUGINS.names(), otherwise="kd teacher list"))
    return record


def _split(name: str) -> tuple[TeacherFamily, str | None]:
    """`timm:resnet18` -> (the family timm, "resnet18"), `clip` -> (the family clip, None)."""
    start, _, model = name.partition(":")
    family = _known(start, name)
    if family.by_model != bool(model):
        raise UsageError(f"{name!r} is not a valid name of this teacher: write {family.written}")
    return family, model or None
