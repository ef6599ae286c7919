"""Warn when images are much smaller than a network's input, because then most of its work is on interpolated pixels."""

from statistics import median

import numpy as np

from kdcache.errors import BadImage
from kdcache.images.loading import load
from kdcache.images.source import Listing, Source

SAMPLE = 9
FAR = 2.0
"""Enlargement from which on the user is warned."""


def enlargement(source: Source, listing: Listing, size: tuple[int, int], who: str) -> str | None:
    """A warning when a few images spread over the listing are enlarged more than twice to `size`; None when not.

    `who`: the network as the warning calls it, such as `the teacher`.
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
        f"the images are about {side} pixels a side, but the input of {who} has {min(size)}: they are enlarged "
        f"{min(size) / side:.1f} times, which costs time and adds no detail"
    )
