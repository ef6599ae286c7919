"""The data2vec 2.0 image network, parts of which students share: patches, fixed positions, class token, post-norm blocks.

Input: normalised pixels. Output: the output of the modality encoder, that of each shared block's FFN before its residual and
norm, and the final tokens. There is no masking, no decoder and no ALiBi: no image configuration of data2vec 2.0 uses ALiBi.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdcache.networks.data2vec_shape import Data2VecShape

EPS = 1e-6


class Outputs(NamedTuple):
    """All outputs of a forward pass, with the class token first."""

    inputs: Tensor
    """Output of the modality encoder, (batch, 1 + patches, dim)."""
    layers: list[Tensor]
    """Output of each shared block's FFN, before residual and norm, (batch, 1 + patches, dim) each."""
    final: Tensor
    """Output of the last block, (batch, 1 + patches, dim)."""


class Attention(nn.Module):
    """Plain multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Tokens (batch, count, dim) -> the same shape; `bias` (heads, count, count) is added to the scores."""
        batch, count, dim = tokens.shape
        query, key, value = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=None if bias is None else bias.to(query.dtype)
        )
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, count, dim))
        return projected


class Mlp(nn.Module):
    """Two linear layers with GELU."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply the layers to each token."""
        hidden: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return hidden


class Block(nn.Module):
    """A post-norm block that also returns the output of its FFN."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        """`hidden`: width inside the FFN."""
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = Mlp(dim, hidden)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the new tokens, and the output of the FFN."""
        attended = self.norm1(tokens + self.attn(tokens, bias))
        ffn_output = self.mlp(attended)
        return self.norm2(attended + ffn_output), ffn_output


class ModalityEncoder(nn.Module):
    """Turns pixels into tokens: patches plus positions, with the class token in front, a norm, then its own blocks."""

    positions: Tensor

    def __init__(self, shape: Data2VecShape) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, shape.dim, kernel_size=shape.patch, stride=shape.patch)
        self.register_buffer("positions", fixed_positions(shape.side, shape.dim))
        self.class_token = nn.Parameter(torch.randn(1, 1, shape.dim))
        self.norm = nn.LayerNorm(shape.dim, eps=EPS)
        self.blocks = nn.ModuleList(Block(shape.dim, shape.heads, shape.hidden) for _ in range(shape.prenet))

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels -> tokens (batch, 1 + patches, dim)."""
        return self.encode(self.place(pixels))

    def place(self, pixels: Tensor) -> Tensor:
        """Patches with their positions, (batch, patches, dim)."""
        placed: Tensor = self.patches(pixels).flatten(2).transpose(1, 2) + self.positions
        return placed

    def encode(self, patches: Tensor) -> Tensor:
        """Encode all patches, or only the visible ones, with the class token in front."""
        tokens: Tensor = self.norm(torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1))
        for block in self.blocks:
            tokens, _ = block(tokens)
        return tokens


class Data2Vec(nn.Module):
    """A whole image encoder. Fine-tuned ones have a classifier, which the caller runs to get logits."""

    def __init__(self, shape: Data2VecShape, classes: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = ModalityEncoder(shape)
        self.blocks = nn.ModuleList(Block(shape.dim, shape.heads, shape.hidden) for _ in range(shape.depth))
        self.classifier = (
            nn.Sequential(nn.LayerNorm(shape.dim, eps=EPS), nn.Linear(shape.dim, classes)) if classes else None
        )

    def forward(self, pixels: Tensor) -> Outputs:
        """Run the network on normalised pixels."""
        return self.share(self.encoder(pixels))

    def share(self, inputs: Tensor) -> Outputs:
        """Run the shared blocks on the modality encoder's tokens."""
        tokens, layers = inputs, []
        for block in self.blocks:
            tokens, ffn_output = block(tokens)
            layers.append(ffn_output)
        return Outputs(inputs, layers, tokens)


def fixed_positions(side: int, dim: int) -> Tensor:
    """Sine and cosine of the column (first half of the channels) and of the row (second half): (1, side * side, dim)."""
    rates = torch.arange(dim // 4, dtype=torch.float64) / (dim / 4)
    angles = torch.outer(torch.arange(side, dtype=torch.float64), 10_000.0**-rates)
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    columns = line[None, :, :].expand(side, side, -1)
    rows = line[:, None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=2).reshape(1, side * side, dim).float()


def targets(layers: list[Tensor], count: int) -> Tensor:
    """The regression target of data2vec 2.0, computed from the last `count` layers in float32.

    Each layer is normalised per channel over its tokens, then the mean of the layers per token over its channels.
    """
    normalised = [F.instance_norm(ffn_output.float().transpose(1, 2)).transpose(1, 2) for ffn_output in layers[-count:]]
    mean = torch.stack(normalised).mean(dim=0)
    return F.layer_norm(mean, mean.shape[-1:])
