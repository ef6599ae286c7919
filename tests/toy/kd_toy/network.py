"""The student: a convolution sees, and a decoder says word after word what it is asked by the words before."""

import torch
from torch import Tensor, nn

from kd_toy.words import POSITIONS, VOCABULARY

BEGIN = VOCABULARY
"""What stands before the first word."""


class Network(nn.Module):
    """Pixels (rows, 3, height, width), words -> guesses (rows, 4, vocabulary) and tiles (rows, 16, 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, width, kernel_size=8, stride=8)
        self.embed = nn.Embedding(VOCABULARY + 1, width)
        self.place = nn.Parameter(0.1 * torch.randn(POSITIONS, width))
        self.speak = nn.Linear(width, VOCABULARY)
        self.shade = nn.Linear(width, 3)

    def look(self, pixels: Tensor) -> Tensor:
        """What is seen on a grid of 4 x 4: (rows, 16, width)."""
        seen = nn.functional.adaptive_avg_pool2d(self.see(pixels).relu(), 4)
        return seen.flatten(2).transpose(1, 2)

    def say(self, seen: Tensor, before: Tensor) -> Tensor:
        """`before`: (rows, 4), the word before each -> (rows, 4, vocabulary). A position knows no later word."""
        asked = self.embed(before) + self.place
        heed = (asked @ seen.transpose(1, 2) / seen.shape[-1] ** 0.5).softmax(-1)
        return self.speak(asked + heed @ seen)

    def generate(self, pixels: Tensor) -> Tensor:
        """The likeliest words, one after the other: (rows, 4)."""
        seen, words = self.look(pixels), [torch.full((len(pixels),), BEGIN, device=pixels.device)]
        for position in range(POSITIONS):
            before = torch.stack([*words, *words[:1] * (POSITIONS - len(words))], 1)
            words.append(self.say(seen, before)[:, position].argmax(-1))
        return torch.stack(words[1:], 1)


class Trained(nn.Module):
    """What a training step calls."""

    def __init__(self, network: Network, outputs: frozenset[str]) -> None:
        super().__init__()
        self.network, self._outputs = network, outputs

    def forward(self, pixels: Tensor, words: Tensor | None) -> dict[str, Tensor]:
        """The outputs that were asked for. Without words, only shapes are asked for."""
        seen = self.network.look(pixels)
        first = torch.full((len(pixels), POSITIONS if words is None else 1), BEGIN, device=pixels.device)
        before = first if words is None else torch.cat([first, words[:, :-1]], 1)
        found = {"guesses": lambda: self.network.say(seen, before), "tiles": lambda: self.network.shade(seen)}
        return {name: found[name]() for name in found if name in self._outputs}


class Traced(nn.Module):
    """`generate` for an exporter."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Words."""
        return self.network.generate(pixels)
