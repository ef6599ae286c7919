"""Batches read back from a cache: mapped, gathered into reused buffers, ahead of the consumer."""

from kdcache.stream.batch import Batch, Context, decode
from kdcache.stream.flow import Stream
from kdcache.stream.order import Order, Share, Shuffle, runs_of, view_of
from kdcache.stream.ring import Rings
from kdcache.stream.shelf import Shelf

__all__ = ["Batch", "Context", "Order", "Rings", "Share", "Shelf", "Shuffle", "Stream", "decode", "runs_of", "view_of"]
