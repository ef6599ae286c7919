"""Dense targets: the student's own layers, put through the teacher's recipe for a target, shall be the teacher's.

Input: what each block of the student said, and the cached signal. Output: one loss an image.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kdcache.networks.data2vec import targets
from students.objectives.losses import Losses
from students.recipe import Match


def match_losses(ask: Match, layers: list[Tensor], said: Tensor) -> Losses:
    """How far a student's layers are from what it is asked to match. Always in float32."""
    told = class_tokens(layers) if ask.signal == "cls-layers" else targets(layers, len(layers))
    wanted = said.float()
    if ask.signal == "cls-layers":
        wanted = wanted[:, -len(layers) :]  # the teacher has more layers: the last of them are matched
    found = squared(told, wanted) if ask.loss == "mse" else turned(told, wanted)
    return Losses(found, None, None)


def class_tokens(layers: list[Tensor]) -> Tensor:
    """The class token of each layer, float32: (batch, layers, dim)."""
    return torch.stack([layer[:, 0] for layer in layers], 1).float()


def squared(told: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error over all tokens and channels of an image."""
    return functional.mse_loss(told, wanted, reduction="none").mean((1, 2))


def turned(told: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine, the mean over all tokens of an image."""
    return 1 - functional.cosine_similarity(told, wanted, dim=2).mean(1)
