"""Students: which there are, how they are built, and how weights get into them.

A family (tinyvit) knows its own builder; everything else is said here, for any of them.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from kdcache.config.presets import load_preset, preset_names
from kdcache.errors import Mismatch, UsageError
from kdcache.views.recipe import on
from students.families.preset import Preset
from students.families.spec import MOST_CLASSES, StudentSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdcache.signals.teacher import TeacherSpec
    from students.families.family import Family
    from students.families.loading import Adapted, Head, HeadRows

__all__ = [
    "StudentSpec", "begin", "build_student", "embed", "layer_count", "layer_of", "load_weights", "no_decay", "student_names",
    "student_preset", "student_spec",
]  # fmt: skip

_HERE = Path(__file__).parent


def family_names() -> list[str]:
    """The families of this package: each is a folder."""
    return sorted(path.parent.name for path in _HERE.glob("*/family.py"))


@cache
def _named(name: str) -> "Family":
    family: Family = import_module(f"{__package__}.{name}.family").FAMILY
    return family


def student_names() -> list[str]:
    """The presets, family by family, the smallest first."""
    return sorted(preset_names("students"), key=lambda name: (len(name), name))


def student_spec(
    name: str,
    *,
    classes: tuple[str, ...],
    size: int | None = None,
    drop_path: float | None = None,
    background: str | None = None,
) -> StudentSpec:
    """A preset (or a .yaml file) for these classes; without a size, at the one it is meant for.

    `background`: under transparent pixels, as in the views it learns from; None is white.
    """
    preset = student_preset(name)
    if preset.blocks is None and len(classes) < 2:
        raise UsageError(f"{len(classes)} class: a student needs at least 2", hint="train on images of several classes")
    if len(classes) > MOST_CLASSES:
        raise UsageError(f"{len(classes):,} classes: a student can have {MOST_CLASSES:,} at most")
    side = size or preset.input
    if preset.blocks is not None and side != preset.input:
        raise UsageError(f"{name} sees {preset.input} pixels and nothing else: its positions are fixed")
    if preset.blocks is not None and (drop_path or preset.drop_path):
        raise UsageError(
            f"drop_path is {drop_path or preset.drop_path}, but {name} drops nothing", hint="leave it at 0"
        )
    return StudentSpec(
        name=Path(name).stem if name.endswith((".yaml", ".yml")) else name,
        family=preset.family,
        network=preset.network,
        windows=_named(preset.family).windows(side),
        blocks=preset.blocks,
        drop_path=preset.drop_path if drop_path is None else drop_path,
        input=(side, side),
        mean=preset.mean,
        std=preset.std,
        geometry=on(preset.enlarged if side > preset.input else preset.geometry, background),
        classes=() if preset.blocks is not None else classes,
    )


def _family(spec: StudentSpec) -> "Family":
    """Which family a student is of, which its run may say wrongly."""
    if spec.family not in family_names():
        raise Mismatch(
            f"no family of students is called {spec.family!r}", hint=f"there are {', '.join(family_names())}"
        )
    return _named(spec.family)


def student_preset(name: str) -> Preset:
    """One of configs/students, or a .yaml file."""
    return load_preset("students", name, Preset)


def build_student(spec: StudentSpec) -> "nn.Module":
    """The network with random weights from torch's global generator; pixels in as NCHW, normalised, logits out."""
    return _family(spec).build(spec)


def load_weights(
    network: "nn.Module", spec: StudentSpec, file: Path, *, head: "Head", rows: "HeadRows | None" = None
) -> "Adapted":
    """Load a run's weights, timm's or published ones; every tensor must fit, biases of other windows are interpolated.

    `head`: keep the file's, which must have as many classes, or leave the new one as it is. `rows` picks rows of the file's head.
    """
    from students.families.loading import load_into

    return load_into(network, spec, file, family=_family(spec), head=head, rows=rows)


def begin(network: "nn.Module", spec: StudentSpec, teacher: "TeacherSpec", weights: str | None) -> None:
    """Give a new student what it shares with its teacher; `weights`: where the teacher's file lies now."""
    _family(spec).begin(network, spec, teacher, weights)


def check_shared(network: "nn.Module", spec: StudentSpec, teacher: "TeacherSpec", weights: str | None) -> None:
    """Mismatch when what a student shares with its teacher is that of another one."""
    _family(spec).check_shared(network, spec, teacher, weights)


def embed(spec: StudentSpec, network: "nn.Module") -> "Callable[[Tensor], Tensor]":
    """Normalised pixels -> one embedding an image: what the student makes of it before it names it."""
    family = _family(spec)
    return lambda pixels: family.embed(network, pixels)


def layer_count(spec: StudentSpec, network: "nn.Module") -> int:
    """How many layers `layer_of` tells apart."""
    return _family(spec).layers(network)


def layer_of(spec: StudentSpec, network: "nn.Module") -> Callable[[str], int]:
    """Parameter name -> layer, 0 at the input, for a learning rate that falls towards it."""
    family = _family(spec)
    return lambda name: family.layer(name, network)


def no_decay(name: str, parameter: "Tensor") -> bool:
    """True for what weight decay leaves alone: vectors, biases and attention biases (TinyViT/optimizer.py)."""
    return parameter.ndim <= 1 or name.endswith(".bias") or name.endswith("attention_biases")
