"""A second family: it is asked questions about an image. Each question is an example of its own, the text of the page helps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kd_toy.family import Toy
from kd_toy.spec import ToySpec
from students.base.contracts import Defaults, Head, Needs

if TYPE_CHECKING:
    from torch import Tensor, nn

LETTERS = 64
"""Bytes of a question and of the text that are read, together."""


class Asker(Toy):
    """The toy, with a layer that hears a question and one that answers."""

    name = "asker"
    description = "is asked about an image and answers with a letter"

    defaults = Defaults(task="quiz", teacher="toy", signals=("words", "shades"))

    def needs(self, spec: ToySpec) -> Needs:
        """Questions one by one, each with all text of its image. Words are used where a teacher emits them."""
        return Needs(optional=("words",), truths=("text",), items=("questions",))

    def outputs(self, spec: ToySpec) -> tuple[str, ...]:
        """What an objective may compare."""
        return (*super().outputs(spec), "answers")

    def build(self, spec: ToySpec) -> "nn.Module":
        """The network, its weights random."""
        from kd_toy.question_network import QuestionNetwork

        return QuestionNetwork(spec.width)

    def trained(self, network: Any, spec: ToySpec, outputs: frozenset[str]) -> "nn.Module":
        """What a step calls with what `batch` gives."""
        from kd_toy.question_network import QuestionTrained

        return QuestionTrained(network, outputs)

    def batch(
        self, pixels: "Tensor | None", signals: Mapping[str, Any], truths: Mapping[str, Any], spec: ToySpec
    ) -> dict[str, Any]:
        """Pixels, the teacher's words, and the bytes of each question: (examples, 64), 0 where there are fewer."""
        given = super().batch(pixels, signals, truths, spec)
        if truths:  # there are none where only shapes are computed
            given["letters"] = letters_of(truths).to(pixels.device)
        return given

    def heads(self, network: Any, spec: ToySpec) -> Mapping[str, Head]:
        """What tasks may ask for: it also answers questions."""

        def answered(pixels: "Tensor", truths: Mapping[str, Any] | None = None) -> "Tensor":
            asked = truths or {"questions": [None] * len(pixels), "text": [None] * len(pixels)}
            return network.reply(network.look(pixels), letters_of(asked).to(pixels.device))

        return {**super().heads(network, spec), "answer": Head(answered, "first letter of an answer", signal=False)}

    def traced(self, network: Any, spec: ToySpec, head: str) -> "nn.Module":
        """A head as a module."""
        from kd_toy.question_network import Unasked

        return super().traced(network, spec, head) if head != "answer" else Unasked(network)


def letters_of(truths: Mapping[str, Any]) -> "Tensor":
    """The first bytes of each question and the text of its image: (examples, 64), 0 where there are fewer."""
    import torch

    asked = zip(truths["questions"], truths["text"], strict=True)
    rows = [list(f"{one.question if one else ''} {text or ''}".encode())[:LETTERS] for one, text in asked]
    return torch.tensor([row + [0] * (LETTERS - len(row)) for row in rows])
