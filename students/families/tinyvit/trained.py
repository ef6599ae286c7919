"""TinyViT as training steps and exporters call it: the requested outputs from one forward pass."""

from typing import Any

from torch import Tensor, nn


class Trained(nn.Module):
    """Pixels -> {output: tensor}, for any of `logits`, `embedding` and `features`."""

    def __init__(self, network: Any, outputs: frozenset[str]) -> None:
        super().__init__()
        self.network, self._outputs = network, outputs
        self.uses_all = "logits" in outputs

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """The requested outputs from one forward pass."""
        if self._outputs == {"logits"}:
            return {"logits": self.network(pixels)}
        features = self.network.forward_features(pixels)
        found = {"features": features}
        if self._outputs - {"features"}:
            found["embedding"] = self.network.forward_head(features, pre_logits=True)
        if "logits" in self._outputs:
            found["logits"] = self.network.head.fc(found["embedding"])
        return {name: found[name] for name in found if name in self._outputs}


class Embedding(nn.Module):
    """Pixels -> the embedding before the classifier, for an exporter."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.training = False  # sets only this module: parts of the network are in training mode on purpose

    def forward(self, pixels: Tensor) -> Tensor:
        """One embedding per image."""
        embedding: Tensor = self.network.forward_head(self.network.forward_features(pixels), pre_logits=True)
        return embedding
