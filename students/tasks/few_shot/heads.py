"""Fits the linear heads of many few-shot episodes at once, by batched matrix products instead of a loop over episodes.

Each head is initialised like torch's nn.Linear and trained by SGD with momentum, dampening and weight decay, on small batches
of its episode's support images in a new order each epoch. tests/students/test_few_shot.py compares them with torch.optim.SGD.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdcache.base.dice import Dice
from kdcache.base.progress import Progress
from students.tasks.few_shot.numbers import FewShot

Rows = NDArray[np.int64]
START, ORDER = 0xFE355, 0xFE350
"""Keys that make the random numbers for initial weights and for the order of images differ from others."""
_TOGETHER = 100
"""Number of episodes fitted at once on a CPU: their heads then stay in its cache, which is twice as fast as all at once."""


def right_answers(
    features: Tensor,
    support: Rows,
    queries: Rows,
    settings: FewShot,
    *,
    seed: int,
    progress: Progress,
) -> NDArray[np.bool_]:
    """Fit a head on each episode's support rows and classify its query rows; returns where it is right, (episodes, queries).

    Both kinds of rows are ordered by class, with as many of each: (episodes, way * shots) and (episodes, way * queries).
    """
    together = _TOGETHER if features.device.type == "cpu" else len(support)
    truth = torch.arange(settings.way, device=features.device).repeat_interleave(queries.shape[1] // settings.way)
    # A constant 1 appended to the features makes the last weight of a class its bias.
    seen = torch.cat([features, features.new_ones((len(features), 1))], 1)
    right = []
    for first in range(0, len(support), together):
        episodes = range(first, min(first + together, len(support)))
        weights = fit_heads(seen, support[episodes.start : episodes.stop], settings, seed, episodes, progress)
        queried = seen[_on(queries[episodes.start : episodes.stop], seen)]
        right.append(torch.bmm(queried, weights.transpose(1, 2)).argmax(2) == truth)
    return torch.cat(right).cpu().numpy()


def fit_heads(seen: Tensor, support: Rows, settings: FewShot, seed: int, episodes: range, progress: Progress) -> Tensor:
    """Fit the heads of some episodes; returns their weights, (episodes, way, width of `seen`)."""
    images = support.shape[1]
    shots = images // settings.way
    weights = first_weights(seen.shape[1] - 1, settings.way, shots, seed, episodes).to(seen.device)
    orders = epoch_orders(images, settings.epochs, shots, seed, episodes)
    rows, speed = _on(support, seen), torch.zeros_like(weights)
    classes = torch.eye(settings.way, device=seen.device).repeat_interleave(shots, 0)
    dampening = 0.0  # the first step has none, as in torch.optim.SGD
    for epoch in range(settings.epochs):
        for first in range(0, images, settings.batch):
            places = _on(orders[:, epoch, first : first + settings.batch], seen)
            given = seen[rows.gather(1, places)]
            error = torch.bmm(given, weights.transpose(1, 2)).softmax(2) - classes[places]
            share = 1 - dampening
            momentum, count = settings.momentum, places.shape[1]
            torch.baddbmm(speed, error.transpose(1, 2), given, beta=momentum, alpha=share / count, out=speed)
            speed.add_(weights, alpha=share * settings.decay)
            weights.sub_(speed, alpha=settings.rate)
            dampening = settings.dampening
        progress.advance(support.size)
    return weights


def first_weights(dim: int, way: int, shots: int, seed: int, episodes: range) -> Tensor:
    """Initial weights of the heads: uniform within ±1 / sqrt(dim), biases too, as in nn.Linear."""
    drawn = np.stack([Dice(seed, e, shots, START).uniforms(way * (dim + 1)) for e in episodes])
    return torch.from_numpy(((2 * drawn - 1) / math.sqrt(dim)).astype(np.float32)).view(-1, way, dim + 1)


def epoch_orders(images: int, epochs: int, shots: int, seed: int, episodes: range) -> Rows:
    """The order in which each episode sees its support images: (episodes, epochs, images)."""
    words = np.stack([Dice(seed, e, shots, ORDER).words(epochs * images) for e in episodes])
    return np.argsort(words.reshape(len(episodes), epochs, images), axis=2, kind="stable")


def _on(rows: Rows, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows)).to(like.device)
