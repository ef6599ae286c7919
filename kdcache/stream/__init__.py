"""Read batches from one cache or several: mapped, gathered into reused buffers, ahead of the consumer."""

from kdcache.stream.batch import Batch, Context, decode
from kdcache.stream.examples import Examples, examples_of
from kdcache.stream.flow import Stream
from kdcache.stream.joined import Joined, join
from kdcache.stream.joined_stream import JoinedBatch, JoinedStream
from kdcache.stream.order import Order, Share, Shuffle, runs_of, view_of
from kdcache.stream.reader import Reader, UnknownSignal
from kdcache.stream.ring import Rings
from kdcache.stream.shelf import Shelf

__all__ = [
    "Batch",
    "Context",
    "Examples",
    "Joined",
    "JoinedBatch",
    "JoinedStream",
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
    "join",
    "runs_of",
    "view_of",
]
