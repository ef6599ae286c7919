"""How fast this machine reads caches, beside the ways others read arrays."""

from kdcache.bench.read import bench_read
from kdcache.bench.table import render

__all__ = ["bench_read", "render"]
