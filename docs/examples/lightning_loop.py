"""Distil a cache into a small network with Lightning: python docs/examples/lightning_loop.py CACHE

The cache needs the signal `logits`.
"""

import sys

import lightning
import torch
from torch import nn

from kdcache import Cache
from kdcache.errors import KDError


class Student(lightning.LightningModule):
    """A small network that learns the teacher's distribution over classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        pooled = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.network = nn.Sequential(pooled, nn.Linear(16, classes))

    def training_step(self, batch: dict, number: int) -> torch.Tensor:
        """The loss of one batch."""
        return nn.functional.cross_entropy(self.network(batch["pixels"] / 255), batch["targets"]["logits"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """How it is trained."""
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/examples/lightning_loop.py CACHE")
    try:
        cache = Cache.open(sys.argv[1])
        data = cache.dataset(signals=["logits"])
    except KDError as error:
        sys.exit("; ".join(filter(None, (str(error), error.hint))))
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True, num_workers=2)
    trainer = lightning.Trainer(max_epochs=2, logger=False, enable_checkpointing=False)
    trainer.fit(Student(cache.plan.codecs()["logits"].signal.shape[0]), loader)
    print(f"{trainer.global_step} steps")
