"""Teachers: frozen networks that say signals about views.

`open_teacher("florence")` and friends. A family is imported only when it is opened; torch, timm and transformers with it.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from kdcache.errors import Unavailable, UsageError
from kdcache.signals.teacher import BY_MODEL

if TYPE_CHECKING:
    from kdcache.signals.teacher import Preprocess, Weights
    from kdcache.teachers.teacher import Teacher

FAMILIES = {
    "florence": "Florence-2's DaViT towers",
    "clip": "CLIP image towers, with zero-shot logits",
    "donut": "Donut's Swin encoder, for documents",
    "data2vec": "data2vec 2.0 image models",
    "timm": "any image model of timm, as timm:NAME",
    "hf": "any image model of transformers, as hf:NAME",
    "run": "a student that was trained here, as run:RUN",
}
WITH_NANO = ("florence", "clip", "data2vec")
"""families with a size that ships in the package"""
_OPENERS = {
    "florence": ("families.florence", "open_florence"),
    "clip": ("families.clip.tower", "open_clip"),
    "donut": ("families.donut", "open_donut"),
    "data2vec": ("families.data2vec.tower", "open_data2vec"),
    "timm": ("families.timm_model", "open_timm"),
    "hf": ("families.hf_model", "open_hf"),
}
_ELSEWHERE = "kdcache.teachers"
"""entry points of this name open the families that other packages bring"""
_SIGNALS = "kdcache.signals"
"""and those of this name say what is kept of one of their models when nobody says: model, weights -> signals"""

DEVICES = ("cpu", "cuda", "mps", "xpu")

__all__ = [
    "FAMILIES",
    "WITH_NANO",
    "check_request",
    "families_with_sizes",
    "is_published",
    "open_teacher",
    "published_preprocess",
    "sizes_of",
    "teacher_names",
    "usual_signals",
    "usual_size",
]


def teacher_names() -> list[str]:
    """The families, as users write them."""
    return [f"{name}:NAME" if name in BY_MODEL else name for name in FAMILIES]


def families_with_sizes() -> list[str]:
    """The families that are published in sizes; of the others, a name says it all."""
    return [family for family in FAMILIES if family not in BY_MODEL]


def sizes_of(family: str) -> list[str]:
    """The sizes of a family, the default one first; empty for `timm`, `hf` and `run`."""
    from kdcache.teachers.loading.sizes import family_facts

    if family in BY_MODEL:
        return []
    facts = family_facts(family)
    others = [name for name in facts.sizes if name != facts.default]
    return [facts.default, *others, *(("nano",) if family in WITH_NANO else ())]


def is_published(name: str) -> bool:
    """Its weights are fetched unless they are given. Families that other packages open keep theirs on this machine."""
    return name.partition(":")[0] in _OPENERS


def published_preprocess(name: str, size: str | None = None) -> "Preprocess":
    """How a published size of a family, or its nano size, prepares pixels."""
    from kdcache.teachers.loading.sizes import NANO, family_facts
    from kdcache.teachers.nano import NANO_PREPROCESS

    check_request(name, size=size)
    family, model = _split(name)
    if model is not None:
        message = f"{name} has no published preprocessing: it is in the files of the model"
        raise UsageError(message, hint=f"one of {', '.join(families_with_sizes())}")
    if size == NANO:
        return next(preprocess for name, preprocess in NANO_PREPROCESS.items() if name == family)
    facts = family_facts(family)
    return facts.size(size or facts.default, family).preprocess


def usual_signals(name: str, weights: str | None = None) -> tuple[str, ...]:
    """What a cache of a teacher keeps when nobody says; a name nobody knows is refused elsewhere."""
    from kdcache.teachers.loading.sizes import LOGITS, family_facts

    family, _, model = name.partition(":")
    for point in entry_points(group=_SIGNALS, name=family) if model else ():
        signals: tuple[str, ...] = point.load()(model, weights)
        return signals
    return family_facts(name).signals if name in FAMILIES and name not in BY_MODEL else LOGITS


def usual_size(name: str, weights: str | None) -> str | None:
    """The size that is opened when nobody says; None where the weights tell, or the name."""
    from kdcache.teachers.loading.sizes import family_facts

    family, model = _split(name)
    return family_facts(family).default if not model and weights in (None, "random") else None


def check_request(name: str, *, size: str | None = None, device: str = "cpu") -> None:
    """Refuse a teacher, a size or a device that does not exist, before anything is loaded."""
    from kdcache.teachers.loading.sizes import CUSTOM

    family, model = _split(name)
    if model and size is not None:
        raise UsageError(f"{name} has no sizes; the name says it all", hint="leave --size out")
    sizes = sizes_of(family)
    if size is not None and size not in (*sizes, CUSTOM):
        near = get_close_matches(size, sizes, n=1, cutoff=0.5)
        raise UsageError(
            f"{family} has no size {size!r}; it has {', '.join(sizes)}",
            hint=f"did you mean {near[0]}?" if near else "kd teacher list",
        )
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        near = get_close_matches(kind, DEVICES, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no device is called {device!r}", hint=f"{meant}Devices are cpu, cuda, cuda:1 and so on")


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
        family=family,
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
    return opened(_opener(family), request)


def _opener(family: str) -> Any:
    if family in _OPENERS:
        module, opener = _OPENERS[family]
        return getattr(import_module(f"kdcache.teachers.{module}"), opener)
    for point in entry_points(group=_ELSEWHERE, name=family):
        return point.load()
    raise Unavailable(f"nothing that is installed opens {family}:NAME", hint="install kd again: pip install -e .")


def _split(name: str) -> tuple[str, str | None]:
    """`timm:resnet18` -> ("timm", "resnet18"), `clip` -> ("clip", None)."""
    family, _, model = name.partition(":")
    if family not in FAMILIES:
        near = get_close_matches(family, FAMILIES, n=1, cutoff=0.5)
        raise UsageError(
            f"unknown teacher {name!r}; there are {', '.join(teacher_names())}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    if (family in BY_MODEL) != bool(model):
        right = f"{family}:NAME" if family in BY_MODEL else family
        raise UsageError(f"{name!r} is not how this teacher is written: {right}")
    return family, model or None
