"""Caches of the same images to join."""

from pathlib import Path
from typing import Any

import numpy as np

from kdcache import Cache
from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.store import Store
from tests.store.making import Made, fill, make_listing, make_plan

TOKENS = ((Signal(name="tokens", shape=(6, 4), grid=(2, 3)), "int8"), (Signal(name="text", shape=(9,)), "float16"))


def shuffled(listing: Listing, seed: int = 1) -> Listing:
    """The same images in another order."""
    rows = np.random.default_rng(seed).permutation(len(listing))
    return Listing(listing.ids.take(rows), listing.labels[rows], listing.classes, "shuffled")


def make(path: Path, listing: Listing | None = None, bad: dict[int, str] | None = None, **plan: Any) -> Made:
    listing = listing or make_listing()
    store = Store.create(path, make_plan(listing=listing, **plan), listing)
    bad = bad or {}
    return Made(store, fill(store, bad), bad)


def opened(*made: Made) -> list[Cache]:
    return [Cache.open(each.store.path) for each in made]


def content(stream, field: str | None = None) -> list:
    return [
        (b.number, b.view, b.ids, b.rows.tolist(), b.labels.tolist(), {n: a.tobytes() for n, a in b.fields.items()})
        for b in stream
    ]
