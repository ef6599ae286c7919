"""TinyViT as a training step and an exporter call it: one pass, and of it what was asked for."""

from typing import Any

from torch import Tensor, nn


class Trained(nn.Module):
    """Pixels -> {output: tensor}, of `logits`, `embedding` and `features`."""

    def __init__(self, network: Any, outputs: frozenset[str]) -> None:
        super().__init__()
        self.network, self._outputs = network, outputs
        self.uses_all = "logits" in outputs

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """All asked outputs from one pass."""
        if self._outputs == {"logits"}:
            return {"logits": self.network(pixels)}
        features = self.network.forward_features(pixels)
        found = {"features": features}
        if self._outputs - {"features"}:
            found["embedding"] = self.network.forward_head(features, pre_logits=True)
        if "logits" in self._outputs:
            found["logits"] = self.network.head.fc(found["embedding"])
        return {name: found[name] for name in found if name in self._outputs}


class Traced(nn.Module):
    """Pixels -> one of the heads, for an exporter."""

    def __init__(self, network: Any, head: str) -> None:
        super().__init__()
        self.network, self._head = network, head

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, or the embedding before them."""
        if self._head == "logits":
            logits: Tensor = self.network(pixels)
            return logits
        embedding: Tensor = self.network.forward_head(self.network.forward_features(pixels), pre_logits=True)
        return embedding
