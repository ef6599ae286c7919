"""Fit a linear probe on the embeddings of labelled images, for the logits of teachers without a classifier.

Input: float32 embeddings, labels, class names. Output: a `Head` with its accuracy on images held out of the fit.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kdcache.base.dice import Dice
from kdcache.errors import UsageError
from kdcache.teachers.heads.heads import Head

RIDGES = (1e-1, 1e-2, 1e-3, 1e-4)
ITERATIONS = 100
LEAST_IMAGES = 20
_SPLIT = 0x5B117


def fit_head(embeddings: Tensor, labels: NDArray[np.int32], classes: Sequence[str], *, seed: int) -> Head:
    """Fit a logistic probe on standardised embeddings with L-BFGS; the ridge penalty is chosen on held-out images.

    A tenth of the labelled images selects the ridge penalty, another tenth measures the accuracy. Rows with a negative label
    are left out. It runs on the device of the embeddings.
    """
    if embeddings.shape[0] != len(labels):
        raise UsageError(f"{embeddings.shape[0]} embeddings, {len(labels)} labels")
    labelled = np.flatnonzero(labels >= 0)
    if len(labelled) < LEAST_IMAGES or len(np.unique(labels[labelled])) < 2:
        raise UsageError(
            f"a head needs {LEAST_IMAGES} labelled images of two classes; there are {len(labelled)} labelled images",
            hint="give more images with --data, or leave out --limit; some dozens of each class make a useful head",
        )
    order = labelled[np.argsort(Dice(seed, 0, purpose=_SPLIT).words(len(labelled)), kind="stable")]
    tenth = len(order) // 10
    targets = torch.from_numpy(labels.astype(np.int64)).to(embeddings.device)
    test, tune, train = (torch.from_numpy(part).to(embeddings.device) for part in np.split(order, [tenth, 2 * tenth]))
    std, mean = torch.std_mean(embeddings[train], dim=0)
    scaled = (embeddings - mean) / std.clamp_min(1e-6)
    best = max(
        _fits(scaled[train], targets[train], len(classes)),
        key=lambda layer: accuracy(layer(scaled[tune]), targets[tune]),
    )
    weight = best.weight.detach() / std.clamp_min(1e-6)
    head = Head(weight, best.bias.detach() - weight @ mean, classes=tuple(classes))
    measured = accuracy(head(embeddings[test]), targets[test])
    facts = {"accuracy": f"{measured:.4f}", "held_out": str(len(test)), "images": str(len(train)), "seed": str(seed)}
    return Head(head.weight, head.bias, classes=head.classes, facts=facts)


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Fraction of rows whose highest logit is the target."""
    return float((logits.argmax(dim=1) == targets).double().mean())


def _fits(rows: Tensor, targets: Tensor, classes: int) -> list[nn.Linear]:
    """Fit a probe for each ridge penalty, strongest first, each starting from the previous one."""
    layers: list[nn.Linear] = []
    start = nn.Linear(rows.shape[1], classes, device=rows.device)
    nn.init.zeros_(start.weight)
    nn.init.zeros_(start.bias)
    for ridge in RIDGES:
        layer = nn.Linear(rows.shape[1], classes, device=rows.device)
        layer.load_state_dict((layers[-1] if layers else start).state_dict())
        _minimise(layer, rows, targets, ridge)
        layers.append(layer)
    return layers


def _minimise(layer: nn.Linear, rows: Tensor, targets: Tensor, ridge: float) -> None:
    optimiser: torch.optim.Optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(layer(rows), targets) + 0.5 * ridge * layer.weight.square().sum()
        torch.autograd.backward(value)
        return value.item()

    optimiser.step(loss)
