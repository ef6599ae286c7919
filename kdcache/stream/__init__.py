"""Batches read back from one cache or several: mapped, gathered into reused buffers, ahead of the consumer."""

from kdcache.stream.batch import Batch, Context, decode
from kdcache.stream.examples import Examples, examples_of
from kdcache.stream.flow import Stream
from kdcache.stream.order import Order, Share, Shuffle, runs_of, view_of
from kdcache.stream.reader import Reader, UnknownSignal
from kdcache.stream.ring import Rings
from kdcache.stream.shelf import Shelf

__all__ = [
    "Batch",
    "Context",
    "Examples",
    "Order",
    "Reader",
    "Rings",
    "Share",
    "Shelf",
    "Shuffle",
    "Stream",
    "UnknownSignal",
    "decode",
    "examples_of",
    "runs_of",
    "view_of",
]
