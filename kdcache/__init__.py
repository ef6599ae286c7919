"""Run frozen vision teachers once, keep what they said, and read it back without them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdcache.cache import Cache

__all__ = ["Cache"]


def __getattr__(name: str) -> Any:
    """`Cache`, imported when it is first asked for: most commands and every worker do without."""
    if name == "Cache":
        from kdcache.cache import Cache

        return Cache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
