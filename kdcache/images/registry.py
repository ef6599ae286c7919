"""Kinds of image sources: those of this project are files of kinds/, those of other packages entry points of `kd.images`."""

from collections.abc import Mapping
from typing import Any

from kdcache.base.plugins import Registry
from kdcache.images.kind import OWN, SourceKind

KINDS = Registry("kdcache.images.kinds", "KIND", "image source", group="kd.images", kind=SourceKind)


def kind_of(spec: Mapping[str, Any]) -> SourceKind | None:
    """The kind of a source, from its plain values; None if no package brings that kind."""
    name = spec.get("kind")
    return KINDS.find(name) if isinstance(name, str) else None


def ways_to_write() -> list[str]:
    """The spec syntax of each kind."""
    return [kind.written for kind in KINDS.usable()]


def is_embedded(spec: Mapping[str, Any]) -> bool:
    """Whether the images of a source (given as plain values) come with a package."""
    kind = _kind_of_images(spec)
    return kind is not None and kind.embedded


def usual_recipe(spec: Mapping[str, Any]) -> str:
    """The training recipe for the images of a source (given as plain values) if no other is chosen."""
    kind = _kind_of_images(spec)
    return OWN if kind is None else kind.recipe


def _kind_of_images(spec: Mapping[str, Any]) -> SourceKind | None:
    while isinstance(spec.get("of"), Mapping):  # `few:` chooses images of another source
        spec = spec["of"]
    return kind_of(spec)
