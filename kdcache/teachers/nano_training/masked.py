"""The loss of data2vec-nano: predict masked patches as an EMA copy of the network encodes them from the whole picture.

Input: normalised pictures. Output: one loss; no labels are used. As in data2vec 2.0 (arXiv 2212.07525), a target is computed
once for each picture and regressed under several masks; the student encodes only the visible patches; a small convolutional
decoder, which is discarded afterwards, predicts the others; the class token regresses the mean. In addition, the student may
get the picture with other lighting than the copy, because a network this small would otherwise learn mainly the lighting.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdcache.networks.data2vec import Data2Vec, targets
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.networks.pixels import autocast, fastest_precision

CPU = torch.device("cpu")
WHOLE = 0.01
"""Weight of the class token's loss."""
LOUDNESS = 2.3
"""Initial standard deviation of a patch embedding; that of the positions is 0.7."""
NOISE = 0.01
"""Standard deviation of the noise that the decoder gets at masked patches."""


@dataclass(frozen=True)
class Masking:
    """How pictures are masked."""

    masks: int = 6
    """Number of masks drawn for each picture in a step."""
    shown: int = 16
    """Number of patches that stay visible under each mask."""
    block: int = 1
    """Side length, in patches, of the squares that stay visible; 1, because a grid of eight patches a side leaves no
    room for larger ones."""


class SelfTaught(nn.Module):
    """A student, its decoder, and the EMA copy that computes the targets."""

    def __init__(self, shape: Data2VecShape, masking: Masking) -> None:
        super().__init__()
        self.shape, self.masking = shape, masking
        self.student = Data2Vec(shape).apply(_begin)
        self.decoder = Decoder(shape)
        # In a tuple, so that it is not among the module's parameters: it is not trained but follows as an EMA.
        self._slow: tuple[Any] = (copy.deepcopy(self.student).requires_grad_(False),)

    def loss(self, whole: Tensor, pixels: Tensor, dice: torch.Generator) -> Tensor:
        """Loss of the masked patches against their targets, and of the class token against the mean of all targets.

        Targets are computed from `whole`; visible patches are taken from `pixels`, the same pictures in possibly other lighting.
        """
        wanted = self._targets(whole).repeat_interleave(self.masking.masks, 0)
        shown = shown_patches(len(wanted), self.shape.side, self.masking, dice)
        with autocast(CPU, fastest_precision(CPU)):
            placed = self.student.encoder.place(pixels).repeat_interleave(self.masking.masks, 0)
            seen = self.student.share(self.student.encoder.encode(_pick(placed, shown))).final
            guessed = self.decoder(seen[:, 1:], shown, dice)
        hidden = torch.ones(wanted.shape[:2]).scatter_(1, shown, 0.0)
        apart = (guessed.float() - wanted).square().mean(2)
        summed_up = functional.mse_loss(seen[:, 0].float(), wanted.mean(1))
        loss: Tensor = (apart * hidden).sum() / hidden.sum() + WHOLE * summed_up
        return loss

    @torch.no_grad()
    def _targets(self, pixels: Tensor) -> Tensor:
        """Targets of the EMA copy for the whole picture, by patch."""
        (slow,) = self._slow
        with autocast(CPU, fastest_precision(CPU)):
            layers = slow(pixels).layers
        return targets([layer[:, 1:] for layer in layers], self.shape.targets)

    @property
    def copies(self) -> tuple[nn.Module, ...]:
        """The EMA copy, which a saved state must include."""
        return self._slow

    @torch.no_grad()
    def follow(self, keep: float) -> None:
        """Update the EMA copy with decay `keep`."""
        (slow,) = self._slow
        for old, new in zip(slow.parameters(), self.student.parameters(), strict=True):
            old.lerp_(new, 1 - keep)


class Decoder(nn.Module):
    """Predicts all patches from the visible ones: convolutions on the grid, with noise at masked patches."""

    def __init__(self, shape: Data2VecShape, layers: int = 3, groups: int = 8) -> None:
        super().__init__()
        self._side = shape.side
        self.convolutions = nn.ModuleList(
            nn.Conv2d(shape.dim, shape.dim, 3, padding=1, groups=groups) for _ in range(layers)
        )
        self.out = nn.Linear(shape.dim, shape.dim)

    def forward(self, seen: Tensor, shown: Tensor, dice: torch.Generator) -> Tensor:
        """Predict every patch, (batch, patches, dim), from the encoded visible patches."""
        count, _, dim = seen.shape
        noise = NOISE * torch.randn((count, self._side**2, dim), generator=dice)
        grid = noise.to(seen.dtype).scatter(1, shown[:, :, None].expand(-1, -1, dim), seen)
        grid = grid.transpose(1, 2).view(count, dim, self._side, self._side)
        for convolution in self.convolutions:
            update = functional.layer_norm(convolution(grid).movedim(1, 3), (dim,))
            grid = grid + functional.gelu(update).movedim(3, 1)
        guessed: Tensor = self.out(grid.flatten(2).transpose(1, 2))
        return guessed


def shown_patches(count: int, side: int, masking: Masking, dice: torch.Generator) -> Tensor:
    """Sorted numbers of the visible patches of `count` masks, int64 (count, shown): random squares, then adjusted in number.

    There are slightly more squares than needed if none overlapped or crossed the edge; then surplus patches are hidden, or
    missing ones are shown, at random.
    """
    block, patches = masking.block, side**2
    squares = max(1, round(1.15 * masking.shown / block**2))
    places = torch.rand((count, patches), generator=dice).topk(squares, 1).indices
    centres = torch.zeros(count, patches).scatter_(1, places, 1.0).view(count, 1, side, side)
    before, after = (block - 1) // 2, block // 2
    grown = functional.max_pool2d(functional.pad(centres, (before, after, before, after)), block, 1).flatten(1)
    order = grown + torch.rand((count, patches), generator=dice)
    return order.topk(masking.shown, 1).indices.sort(1).values


def _begin(module: nn.Module) -> None:
    """Initialise weights: matrices small, as in data2vec, but the patch embedding large. With a patch embedding that is small
    compared with the positions, targets would contain little but the position, and the network would learn nothing else.
    """
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=LOUDNESS * module.weight[0].numel() ** -0.5)


def _pick(tokens: Tensor, places: Tensor) -> Tensor:
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))
