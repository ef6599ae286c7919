"""A few images of another source."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdcache.images.kind import Plain, SourceKind

if TYPE_CHECKING:
    from kdcache.images.source import Source


def _parse(rest: str) -> Plain:
    """Parse `500:SPEC` into the number of images and the source they come from."""
    from kdcache.images.opening import converted, parse

    number, _, of = rest.partition(":")
    return {"count": converted(KIND.name, "count", number, int), "of": parse(of)}


def _make(of: Mapping[str, Any], count: int, seed: int = 0) -> "Source":
    from kdcache.images.few import Few
    from kdcache.images.opening import open_source

    return Few(open_source(of), count, seed)


KIND = SourceKind(
    name="few",
    about="a seeded choice of N images of another source",
    written="few:N:SOURCE",
    source=_make,
    options={"of": dict, "count": int, "seed": int},
    needed=("of", "count"),
    subject="of",
    parse=_parse,
)
