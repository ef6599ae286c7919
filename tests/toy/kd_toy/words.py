"""The language of the teacher: how light each quarter of an image is, in up to four words, and how sure it is of each."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

POSITIONS, VOCABULARY = 4, 8


def read(pixels: "Tensor") -> "tuple[Tensor, Tensor]":
    """Pixels between 0 and 1, (rows, 3, height, width) -> words (rows, 4) of 0 to 7, and how many each row has, 1 to 4."""
    words = (_light(pixels) * VOCABULARY).long().clamp(0, VOCABULARY - 1)
    lengths = 1 + words[:, 0] // 2  # a light first quarter makes a long row: rows differ in length, as texts do
    return words, lengths


def weigh(pixels: "Tensor") -> "Tensor":
    """The same pixels -> logits of every word at every place (rows, 4, 8): the nearer a word's light, the likelier it is."""
    import torch

    middles = (torch.arange(VOCABULARY, device=pixels.device) + 0.5) / VOCABULARY
    return -((_light(pixels)[..., None] - middles) * VOCABULARY).square()


def _light(pixels: "Tensor") -> "Tensor":
    """(rows, 4)."""
    from torch.nn import functional

    return functional.adaptive_avg_pool2d(pixels.float().mean(1, keepdim=True), 2).flatten(1)
