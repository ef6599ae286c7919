"""The distilled data2vec 2.0 student: the teacher's own modality encoder, frozen, and a few blocks of its own.

Input: normalised pixels (batch, 3, height, width), or the modality encoder's output (batch, 1 + patches, dim): with that in
the cache, no image is decoded or encoded. Output: the output of each block's FFN, and the final tokens.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kdcache.networks.data2vec import Block, ModalityEncoder, Outputs
from students.families.data2vec.spec import Blocks


class Distilled(nn.Module):
    """The frozen encoder and the student's own blocks."""

    bias: Tensor | None

    def __init__(self, blocks: Blocks) -> None:
        super().__init__()
        shape = blocks.encoder
        self.encoder = ModalityEncoder(shape).requires_grad_(False)
        self.blocks = nn.ModuleList(Block(shape.dim, blocks.heads, blocks.hidden) for _ in range(blocks.depth))
        self.blocks.apply(_begin)
        bias = distance_bias(shape.side, blocks.heads) if blocks.alibi else None
        self.register_buffer("bias", bias, persistent=False)
        self._recompute = False

    def set_grad_checkpointing(self, enable: bool) -> None:
        """Recompute the blocks' activations in the backward pass instead of keeping them; named as in timm's networks."""
        self._recompute = enable

    def forward(self, seen: Tensor) -> Outputs:
        """`seen`: pixels, or the encoder's output."""
        if seen.ndim == 4:
            with torch.no_grad():
                seen = self.encoder(seen)
        tokens, layers = seen, []
        for block in self.blocks:
            tokens, layer = self._through(block, tokens)
            layers.append(layer)
        return Outputs(seen, layers, tokens)

    def _through(self, block: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
        again = self._recompute and torch.is_grad_enabled()
        both: tuple[Tensor, Tensor] = (
            checkpoint(block, tokens, self.bias, use_reentrant=False) if again else block(tokens, self.bias)
        )
        return both

    def embed(self, pixels: Tensor) -> Tensor:
        """One embedding an image."""
        return pooled(self(pixels).final)


class Trained(nn.Module):
    """Pixels or encoded tokens -> {output: tensor}, of `layers` (a list), `final` and `embedding`."""

    def __init__(self, network: nn.Module, outputs: frozenset[str]) -> None:
        super().__init__()
        self.network, self._outputs = network, outputs
        # `layers` are taken before the last norm: a loss on them alone gives that norm no gradient.
        self.uses_all = bool(outputs & {"final", "embedding"})

    def forward(self, seen: Tensor) -> dict[str, Any]:
        """The requested outputs from one forward pass."""
        found: Outputs = self.network(seen)
        output: dict[str, Any] = {"layers": found.layers, "final": found.final}
        if "embedding" in self._outputs:
            output["embedding"] = pooled(found.final)
        return {name: output[name] for name in output if name in self._outputs}


class Traced(nn.Module):
    """Pixels -> one of the heads, for an exporter."""

    def __init__(self, network: Distilled, head: str) -> None:
        super().__init__()
        self.network, self._head = network, head
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """The final tokens, or their mean."""
        final: Tensor = self.network(pixels).final
        return pooled(final) if self._head == "embedding" else final


def pooled(final: Tensor) -> Tensor:
    """The mean of all final tokens, class token included, in float32."""
    return final.float().mean(1)


def _begin(module: nn.Module) -> None:
    """Initial weights as in BERT: normal with a standard deviation of 0.02, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def distance_bias(side: int, heads: int) -> Tensor:
    """ALiBi on a grid: minus the distance |dx| + |dy| times a slope a head; 0 to and from the class token."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    distances = torch.cdist(places, places, p=1)
    bias = torch.zeros(heads, 1 + side * side, 1 + side * side)
    bias[:, 1:, 1:] = -slopes(heads)[:, None, None] * distances
    return bias


def slopes(heads: int) -> Tensor:
    """ALiBi's slopes 2^(-8/n), 2^(-16/n), …, n being the largest power of two up to `heads`; further heads get every second
    slope of 2n."""
    whole = 1 << (heads.bit_length() - 1)
    found = [2.0 ** (-8 * (n + 1) / whole) for n in range(whole)]
    found += [2.0 ** (-4 * (n + 1) / whole) for n in range(0, 2 * (heads - whole), 2)]
    assert len(found) == heads
    assert math.isclose(found[whole - 1], 2.0**-8)
    return torch.tensor(found)
