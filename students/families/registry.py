"""Registry of student families: lists students, builds them, and loads weights into them.

A family is a folder here or a plugin of another package.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from kdcache.base.plugins import Registry
from kdcache.config.presets import load_preset, preset_names
from kdcache.errors import KDError, Mismatch, UsageError
from kdcache.views.recipe import Plain
from students.base.contracts import Family, Head, Needs, Request
from students.base.plugins import GROUP, Brought
from students.families.preset import Preset
from students.families.spec import MOST_CLASSES, StudentSpec

if TYPE_CHECKING:
    from torch import nn

    from students.families.loading import Adapted, HeadRows
    from students.families.loading import Head as Kept

__all__ = [
    "FAMILIES", "AnyStudent", "StudentSpec", "build_student", "family_of", "heads", "load_weights", "preset_model",
    "shown_student", "student_names", "student_preset", "student_spec",
]  # fmt: skip

SHOWN_CLASSES = 1000
"""Number of classes `kd student show` assumes: published parameter counts are for ImageNet's 1000."""
FAMILIES: Registry[Family[Any]] = Registry(
    package=__package__ or "",
    attribute="FAMILY",
    what="student family",
    others=Brought("families"),
    # Folders are families; the files beside them are shared code.
    passed_over=frozenset(path.stem for path in Path(__file__).parent.glob("*.py")),
)


def student_names() -> list[str]:
    """Names of the student presets by length, then alphabet, which lists ours by family and size."""
    return sorted(preset_names("students"), key=lambda name: (len(name), name))


def family_order() -> list[str]:
    """Names of the families of all presets, in the order in which they are listed: ours, then those of other packages."""
    found = dict[str, None]()
    for name in student_names():
        with suppress(KDError):  # a preset that cannot be read is not listed
            found[student_preset(name).family] = None
    elsewhere = {offer.name for offer in Brought("families").offers()}
    return sorted(found, key=lambda name: (name in elsewhere, name if name in elsewhere else ""))


def preset_model(content: Mapping[str, Any]) -> type[Preset]:
    """The class that reads a student's preset: its family's, or the common one if the preset names no family."""
    name = content.get("family")
    if not isinstance(name, str):
        return Preset
    record: type[Preset] = FAMILIES.get(name).preset  # type: ignore[assignment]  # `Family.preset` promises a subclass of Preset
    return record


def student_preset(name: str) -> Preset:
    """Load a preset: a name from configs/students, or a .yaml file."""
    return load_preset("students", name, preset_model)


def student_spec(
    name: str,
    *,
    classes: tuple[str, ...],
    size: int | None = None,
    drop_path: float | None = None,
    background: str | None = None,
    geometry: Plain | None = None,
    before: StudentSpec | None = None,
    weights: str | None = None,
) -> StudentSpec:
    """The student of a preset (or a .yaml file) for these classes; without `size`, at the recommended input size.

    `background`: colour under transparent pixels, as in the training views; None is white. `geometry`: that of the training
    views if they are not augmented; None: the preset's. `before`: the student of the run it
    starts from; `weights`: the weights file it starts from instead of a run.
    """
    preset = student_preset(name)
    if len(classes) > MOST_CLASSES:
        raise UsageError(f"too many classes: {len(classes):,}, and a student can have {MOST_CLASSES:,} at most")
    request = Request(
        name=Path(name).stem if name.endswith((".yaml", ".yml")) else name,
        classes=classes,
        size=size,
        drop_path=drop_path,
        background=background,
        geometry=geometry,
        weights=weights,
    )
    same = before if before is not None and before.family == preset.family else None
    spec: StudentSpec = FAMILIES.get(preset.family).resolve(preset, request, same)
    return spec


def shown_student(name: str, *, size: int | None = None, classes: int = SHOWN_CLASSES) -> StudentSpec:
    """A preset with that many placeholder classes, for display."""
    return student_spec(name, classes=tuple(f"class {number}" for number in range(classes)), size=size)


def family_of(spec: StudentSpec) -> Family[Any]:
    """The family of a student. Raises Mismatch if it is not installed."""
    return FAMILIES.get(spec.family, unknown=_nobody)


def _nobody(message: str, hint: str) -> Mismatch:
    way = "install the package that brings it: one with a plugin under the entry point group"
    return Mismatch(message, hint=f"{way} {GROUP} ({hint})")


def parse_student(value: Any) -> Any:
    """Read a student's record from a run with the class of its family. Raises Mismatch if the family is not installed."""
    if not isinstance(value, Mapping) or not isinstance(value.get("family"), str):
        return value  # pydantic reports the mistake
    return FAMILIES.get(value["family"], unknown=_nobody).spec.from_plain(value)


AnyStudent = Annotated[SerializeAsAny[StudentSpec], BeforeValidator(parse_student)]
"""Type of a field that holds a student of any family."""


def build_student(spec: StudentSpec) -> "nn.Module":
    """The network with random weights from torch's global generator."""
    return family_of(spec).build(spec)


def heads(spec: StudentSpec, network: "nn.Module") -> Mapping[str, Head]:
    """Heads of a student, each a function of normalised pixels (batch, 3, height, width)."""
    return family_of(spec).heads(network, spec)


def student_needs(spec: StudentSpec) -> Needs:
    """Requirements of the student's family, in addition to those of its objectives."""
    return family_of(spec).needs(spec)


def head_of(spec: StudentSpec, network: "nn.Module", name: str) -> Callable[..., Any]:
    """One head by name. Raises UsageError, which lists the heads, if there is none of that name."""
    found = heads(spec, network)
    if name not in found:
        raise UsageError(f"{spec.name} has no head {name}", hint=f"it has {', '.join(found)}")
    return found[name]


def load_weights(
    network: "nn.Module", spec: StudentSpec, file: Path, *, head: "Kept", rows: "HeadRows | None" = None
) -> "Adapted":
    """Load the weights of a run, of timm or of a publication. Every tensor must fit; biases of other windows are interpolated.

    `head`: `keep` takes the head of the file, which must have as many classes; `new` leaves the network's own. `rows`: which rows
    of the file's head to take instead.
    """
    from students.families.loading import load_into

    return load_into(network, spec, file, family=family_of(spec), head=head, rows=rows)
