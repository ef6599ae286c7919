"""TinyViT (arXiv 2207.10666) as timm builds it."""

from students.families.tinyvit.family import FAMILY

__all__ = ["FAMILY"]
