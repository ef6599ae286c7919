"""Are images much smaller than the input of the network that is to see them? Then most of its work is on invented pixels."""

from statistics import median

import numpy as np

from kdcache.errors import BadImage
from kdcache.images.loading import load
from kdcache.images.source import Listing, Source

SAMPLE = 9
FAR = 2.0
"""Times an image is enlarged before a person should know."""


def enlargement(source: Source, listing: Listing, size: tuple[int, int], who: str) -> str | None:
    """A warning when a few images spread over the listing are enlarged more than twice to `size`; None when not.

    `who` sees them, in words: `the teacher`.
    """
    sides = []
    for row in np.linspace(0, len(listing) - 1, min(SAMPLE, len(listing))).astype(int).tolist():
        try:
            sides.append(min(load(source, str(listing.ids[row].as_py())).shape[:2]))
        except BadImage:
            continue
    if not sides or min(size) <= FAR * median(sides):
        return None
    side = round(median(sides))
    return (
        f"the images are about {side} pixels a side and {who} sees {min(size)}: they are enlarged "
        f"{min(size) / side:.1f} times, which costs time and adds no detail"
    )
