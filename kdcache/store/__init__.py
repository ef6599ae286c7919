"""A cache in storage: plan, index and parts, each written whole or not at all, and each checked before it is used."""

from kdcache.store.index import Index, UnknownImage, index_digest
from kdcache.store.layout import choose_layout
from kdcache.store.parts.check import Finding
from kdcache.store.parts.receipt import Receipt
from kdcache.store.places.place import Place
from kdcache.store.reading.part import MappedField, MappedPart
from kdcache.store.store import Store

__all__ = [
    "Finding",
    "Index",
    "MappedField",
    "MappedPart",
    "Place",
    "Receipt",
    "Store",
    "UnknownImage",
    "choose_layout",
    "index_digest",
]
