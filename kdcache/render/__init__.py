"""Render views in worker processes, directly into shared memory."""

from kdcache.render.pool import Rendered, RenderPool

__all__ = ["RenderPool", "Rendered"]
