"""Distil a cache into a small network with plain PyTorch: python docs/examples/plain_pytorch.py CACHE

The cache needs the signal `logits`, and its images class labels.
"""

import sys

import torch
from torch import nn

from kdcache import Cache
from kdcache.errors import KDError

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/examples/plain_pytorch.py CACHE")
    try:
        cache = Cache.open(sys.argv[1])
        data = cache.dataset(truths=["class"], signals=["logits"])
    except KDError as error:
        sys.exit("; ".join(filter(None, (str(error), error.hint))))
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True, num_workers=2)
    classes = cache.plan.codecs()["logits"].signal.shape[0]
    student = nn.Sequential(
        nn.Conv2d(3, 16, 8, 8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes)
    )
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-2)
    for epoch in range(2):
        for batch in loader:
            scores = student(batch["pixels"] / 255)
            soft = nn.functional.cross_entropy(scores, batch["targets"]["logits"])
            loss = soft + 0.1 * nn.functional.cross_entropy(scores, batch["truths"]["class"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")
