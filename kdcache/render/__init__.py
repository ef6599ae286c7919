"""Rendering views in processes of their own, straight into shared memory."""

from kdcache.render.pool import Rendered, RenderPool

__all__ = ["RenderPool", "Rendered"]
