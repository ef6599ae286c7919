"""What identifies a student's network: written into its run, enough to build it again without the recipe it was trained with."""

from pydantic import model_validator

from kdcache.strict import Strict
from kdcache.views.recipe import Plain


class StudentSpec(Strict):
    """A small network, what it sees and what it can name."""

    name: str
    """the preset: tinyvit-5m"""
    family: str
    """which builder makes it: tinyvit"""
    network: str
    """the builder's own name for it: tiny_vit_5m_224 of timm"""
    windows: tuple[int, ...] = ()
    """side of the attention windows, a stage each"""
    drop_path: float = 0.0
    input: tuple[int, int]
    """height and width it sees"""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    geometry: Plain
    """how an image gets to that size when it is not augmented"""
    classes: tuple[str, ...]
    """names in the order of its logits"""

    @model_validator(mode="after")
    def _names_something(self) -> "StudentSpec":
        if len(self.classes) < 2:
            raise ValueError(f"{len(self.classes)} classes: a student needs at least 2")
        return self
