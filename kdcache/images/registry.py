"""Kinds of image sources: those of this project are files of kinds/, those of other packages entry points of `kd.images`."""

from collections.abc import Mapping
from typing import Any

from kdcache.base.plugins import Registry
from kdcache.images.kind import SourceKind

KINDS = Registry("kdcache.images.kinds", "KIND", "image source", group="kd.images", kind=SourceKind)


def kind_of(spec: Mapping[str, Any]) -> SourceKind | None:
    """The kind of a source, by its plain values; None where nothing brings it."""
    name = spec.get("kind")
    return KINDS.find(name) if isinstance(name, str) else None


def ways_to_write() -> list[str]:
    """How a source of each kind is written."""
    return [kind.written for kind in KINDS.usable()]


def is_embedded(spec: Mapping[str, Any]) -> bool:
    """Whether the images of a source, given by its plain values, come with a package."""
    while isinstance(spec.get("of"), Mapping):  # a choice of another source's images
        spec = spec["of"]
    kind = kind_of(spec)
    return kind is not None and kind.embedded
