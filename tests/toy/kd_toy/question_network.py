"""The network of the second family: the toy's, with two layers for questions."""

import torch
from torch import Tensor, nn

from kd_toy.answering import BYTES
from kd_toy.asker import LETTERS
from kd_toy.network import Network, Trained


class QuestionNetwork(Network):
    """Pixels and the bytes of a question -> the first byte of the answer."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.hear = nn.Embedding(BYTES, width)
        self.answer = nn.Linear(width, BYTES)

    def reply(self, seen: Tensor, letters: Tensor) -> Tensor:
        """`letters`: (rows, 64) -> (rows, 256). The question decides where to look."""
        asked = self.hear(letters).mean(1, keepdim=True)
        heed = (asked @ seen.transpose(1, 2) / seen.shape[-1] ** 0.5).softmax(-1)
        return self.answer((asked + heed @ seen)[:, 0])


class QuestionTrained(Trained):
    """What a training step calls."""

    def forward(self, pixels: Tensor, words: Tensor | None, letters: Tensor | None = None) -> dict[str, Tensor]:
        """The outputs that were asked for. Without letters, only shapes are asked for."""
        found = super().forward(pixels, words)
        if "answers" in self._outputs:
            heard = (
                torch.zeros((len(pixels), 1), dtype=torch.long, device=pixels.device) if letters is None else letters
            )
            found["answers"] = self.network.reply(self.network.look(pixels), heard)
        return found


class Unasked(nn.Module):
    """The answer to no question, for an exporter."""

    def __init__(self, network: QuestionNetwork) -> None:
        super().__init__()
        self.network = network
        letters = torch.zeros((1, LETTERS), dtype=torch.long)
        letters[:, 0] = ord(" ")  # what is left of a question and a text that are both empty
        self.register_buffer("letters", letters)

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of all letters."""
        return self.network.reply(self.network.look(pixels), self.letters.expand(len(pixels), -1))
