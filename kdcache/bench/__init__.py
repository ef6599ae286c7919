"""Benchmark: how fast this machine reads caches, compared with other ways to read arrays."""

from kdcache.bench.read import bench_read
from kdcache.bench.table import render

__all__ = ["bench_read", "render"]
