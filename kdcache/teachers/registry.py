"""Teachers: frozen networks that emit signals about views.

`open_teacher("florence")` and friends. A family is imported only when it is opened; torch, timm and transformers with it. This
project's families are folders of families/, those of other packages entry points of the group `kd.teachers`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdcache.base.plugins import Registry, near
from kdcache.errors import UsageError
from kdcache.teachers.family import HEAD_SIGNAL, LOGITS, NANO, TeacherFamily
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
    "has_nano",
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
    "usual_signals",
    "usual_size",
]


def families() -> list[TeacherFamily]:
    """Every family that can be imported: those that are published in sizes first, then those written FAMILY:NAME."""
    return sorted(PLUGINS.usable(), key=lambda family: (family.by_model, family.name))


def teacher_names() -> list[str]:
    """The families, as users write them."""
    return [family.written for family in families()]


def families_with_sizes() -> list[str]:
    """The families that are published in sizes; for the others, the name alone selects the model."""
    return [family.name for family in families() if family.sizes is not None]


def family_of(name: str) -> TeacherFamily:
    """The family of a teacher, named as users write it."""
    return _split(name)[0]


def sizes_of(family: str) -> list[str]:
    """The sizes of a family, the default one first; empty for families such as `timm`, where the name alone selects the model."""
    from kdcache.teachers.loading.sizes import family_facts

    record = _known(family, family)
    if record.sizes is None:
        return [NANO] if record.nano is not None else []
    facts = family_facts(record.sizes)
    others = [name for name in facts.sizes if name != facts.default]
    return [facts.default, *others, *([NANO] if record.nano is not None else [])]


def has_nano(name: str) -> bool:
    """Whether a teacher has a size in its package; False for a name that nothing brings."""
    family = PLUGINS.find(name)
    return family is not None and family.nano is not None


def trainable_names() -> list[str]:
    """The families whose nano size `kd teacher train-nano` makes."""
    return [family.name for family in families() if family.nano is not None and family.nano.trainer is not None]


def is_published(name: str) -> bool:
    """Whether its weights are fetched when they are not given."""
    return family_of(name).published


def needs_head(teacher: "TeacherSpec", signals: Sequence[str]) -> bool:
    """Whether a teacher, named in a plan, needs a head that is fitted first to emit these signals. False where nothing brings it
    any more."""
    family = PLUGINS.find(teacher.family)
    if family is None or HEAD_SIGNAL not in signals:
        return False
    return teacher.classes is None if family.headless is None else family.needs_head(teacher.size)


def has_own_pixels(family: str) -> bool:
    """Whether the files of a family always say how pixels are prepared; False for a name that nothing brings."""
    record = PLUGINS.find(family)
    return record is not None and record.own_pixels


def name_of(teacher: "TeacherSpec") -> str:
    """How users write a teacher that a plan names: clip, timm:NAME, and a run as where it lay."""
    family = PLUGINS.find(teacher.family)
    by_model = family is not None and family.by_model
    return f"{teacher.family}:{teacher.weights.path or teacher.size}" if by_model else teacher.family


def options_for(teacher: "TeacherSpec") -> list[str]:
    """The options that name, to `kd cache build`, a teacher that a plan names."""
    family = PLUGINS.find(teacher.family)
    sized = teacher.size and (family is None or not family.by_model)
    return ["--teacher", name_of(teacher), *(["--size", teacher.size] if sized else [])]


def published_preprocess(name: str, size: str | None = None) -> "Preprocess":
    """How a published size of a family, or its nano size, prepares pixels."""
    from kdcache.teachers.loading.sizes import family_facts

    check_request(name, size=size)
    family, _ = _split(name)
    if size == NANO:
        return family.nano_preprocess()
    if family.sizes is None:
        message = f"{name} has no published preprocessing: it is in the files of the model"
        raise UsageError(message, hint=f"one of {', '.join(families_with_sizes())}")
    facts = family_facts(family.sizes)
    return facts.size(size or facts.default, family.name).preprocess


def usual_signals(name: str, weights: str | None = None) -> tuple[str, ...]:
    """The signals a cache of a teacher keeps when none are named; a name that nothing brings is refused elsewhere."""
    start, _, model = name.partition(":")
    family = PLUGINS.find(start)
    return LOGITS if family is None or family.by_model != bool(model) else family.signals_kept(name, weights)


def usual_size(name: str, weights: str | None) -> str | None:
    """The size that is opened when none is named; None where the weights or the name decide."""
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

    `size`: a published size, `nano`, or None for the published default. `weights`: None for the published checkpoint
    (of `nano`: the one in the package), a file, a folder, `hub:REPO`, or `random`; of `run:RUN`, the folder it lies in now.
    `head`: a head file for the logits.
    `classes`: names of the logits, which must fit them; `offered`: names for a teacher without classes of its own (CLIP's
    zero-shot, random heads), such as those of the images. `templates`: CLIP's prompts, a known name or a list.
    `normalise`: half, imagenet, clip, or (mean, std), where it is not the published one. `planned`: how pixels are prepared, from
    the plan of a cache; it is obeyed whatever is published now, and `input_size` and `normalise` do not count beside it.
    `planned_weights`: those the plan names, when its teacher is opened again.
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
    """The family of that name, or an error that lists those there are. `name`: what the user wrote."""
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
        raise UsageError(f"{name!r} is not how this teacher is written: {family.written}")
    return family, model or None
