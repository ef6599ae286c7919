"""Distil a cache into a small network with plain PyTorch: python docs/examples/plain_pytorch.py CACHE"""

import sys

import torch
from torch import nn

from kdcache import Cache

if __name__ == "__main__":
    cache = Cache.open(sys.argv[1])
    data = cache.dataset(truths=["class"], signals=["logits"])
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
