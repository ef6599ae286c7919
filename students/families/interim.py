"""What a training step asks of a family, until families answer it themselves (`Family` of students/base/contracts.py).

To be deleted when they do: `family_of(spec)` is then the registry's, and has the same methods.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from students.base.contracts import Defaults, Needs
from students.base.types import INPUTS
from students.families.spec import StudentSpec


class TinyViT:
    """The methods of the family `tinyvit`."""

    defaults = Defaults(task="classify", teacher="florence", signals=("logits",))

    def needs(self, spec: StudentSpec) -> Needs:
        """Nothing beside what objectives need."""
        return Needs()

    def outputs(self, spec: StudentSpec) -> tuple[str, ...]:
        """Logits, what they are made from, and the last map."""
        return "logits", "embedding", "features"

    def trained(self, network: nn.Module, spec: StudentSpec, outputs: frozenset[str]) -> nn.Module:
        """All outputs from one pass."""
        return _TinyViT(network, outputs)

    def batch(
        self, pixels: Tensor | None, signals: Mapping[str, Any], truths: Mapping[str, Any], spec: StudentSpec
    ) -> dict[str, Any]:
        """Pixels."""
        return {"pixels": pixels}


class _TinyViT(nn.Module):
    def __init__(self, network: Any, outputs: frozenset[str]) -> None:
        super().__init__()
        self.network, self._outputs = network, outputs
        self.uses_all = "logits" in outputs

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        if self._outputs == {"logits"}:
            return {"logits": self.network(pixels)}
        features = self.network.forward_features(pixels)
        every = {"features": features}
        if self._outputs - {"features"}:
            every["embedding"] = self.network.forward_head(features, pre_logits=True)
        if "logits" in self._outputs:
            every["logits"] = self.network.head.fc(every["embedding"])
        return {name: every[name] for name in every if name in self._outputs}


class Data2Vec:
    """The methods of the family `data2vec`."""

    defaults = Defaults(task="retrieve", teacher="data2vec", signals=(INPUTS, "targets"))

    def needs(self, spec: StudentSpec) -> Needs:
        """The encoder's tokens stand for the pixels."""
        return Needs(optional=(INPUTS,), instead_of_pixels=(INPUTS,), teacher=True)

    def outputs(self, spec: StudentSpec) -> tuple[str, ...]:
        """Each block's FFN, and the final tokens' mean."""
        return "layers", "embedding"

    def trained(self, network: nn.Module, spec: StudentSpec, outputs: frozenset[str]) -> nn.Module:
        """All outputs from one pass."""
        return _Data2Vec(network, outputs)

    def batch(
        self, pixels: Tensor | None, signals: Mapping[str, Any], truths: Mapping[str, Any], spec: StudentSpec
    ) -> dict[str, Any]:
        """Pixels, or the encoder's tokens."""
        return {"seen": pixels if pixels is not None else signals[INPUTS].float()}


class _Data2Vec(nn.Module):
    def __init__(self, network: nn.Module, outputs: frozenset[str]) -> None:
        super().__init__()
        self.network, self._outputs = network, outputs
        self.uses_all = False

    def forward(self, seen: Tensor) -> dict[str, Any]:
        answer = self.network(seen)
        every = {"layers": lambda: answer.layers, "embedding": lambda: answer.final.float().mean(1)}
        return {name: every[name]() for name in every if name in self._outputs}


def family_named(name: str) -> Any:
    """The family of that name."""
    return {"data2vec": Data2Vec, "tinyvit": TinyViT}[name]()


def family_of(spec: StudentSpec) -> Any:
    """The family of a student."""
    return family_named("tinyvit" if spec.blocks is None else "data2vec")
