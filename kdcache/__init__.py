"""Run frozen vision teachers once, store the signals they emit, and read them back without the teachers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdcache.api import (
        add_views,
        build_cache,
        convert_cache,
        list_caches,
        merge_caches,
        plan_cache,
        repair_cache,
        verify_cache,
    )
    from kdcache.cache import Cache

__all__ = [
    "Cache",
    "add_views",
    "build_cache",
    "convert_cache",
    "list_caches",
    "merge_caches",
    "plan_cache",
    "repair_cache",
    "verify_cache",
]


def __getattr__(name: str) -> Any:
    """Import a name listed above when it is first used, because most commands and all workers never need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("kdcache.cache" if name == "Cache" else "kdcache.api"), name)
