"""Accuracy, loss and calibration of a student, accumulated batch by batch.

Input: logits and true classes. Output: top-1, top-5, mean loss, calibration error and the confusion matrix. All sums are over
integers (losses and confidences in units of 2^-32) and therefore exact: neither size nor order of the batches changes a result.

- Rank of the true class: number of classes with a higher logit, or with an equal logit and a lower class number. Top-1 and top-5
  are the fractions of images with a rank below 1 and below 5.
- Loss: cross-entropy with the true class, in float64.
- Calibration error (expected calibration error, 15 bins of equal width): the bin ((b-1)/15, b/15] holds the images whose most
  likely class has such a probability; the error is the mean over all images of |accuracy - mean probability| of their bin.
"""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kdcache.base.strict import Strict
from kdcache.errors import Damage

if TYPE_CHECKING:
    import torch

BINS = 15
_UNIT = 2.0**32


Count = Annotated[int, Field(ge=0)]


class Bin(Strict):
    """Images whose most likely class has about the same probability."""

    images: Count
    accuracy: float
    confidence: float
    """Mean probability of the most likely class."""


class Confusion(Strict):
    """One cell of the confusion matrix: images of class `true` that were classified as `guessed`."""

    true: Count
    guessed: Count
    images: Count


class Scores:
    """Sums over all images so far."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.images = self.right = self.among_five = 0
        self._loss = 0
        self._bins = [[0, 0, 0] for _ in range(BINS)]  # images, right ones, sum of confidences
        self._pairs: Counter[tuple[int, int]] = Counter()

    def add(self, logits: "torch.Tensor", labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add a batch; returns the most likely class of each image. Raises Damage if a logit is NaN or infinite."""
        import torch

        assert logits.shape == (len(labels), self.classes)
        if not len(labels):
            return labels
        values, truth = logits.double(), torch.from_numpy(labels).to(logits.device)[:, None]
        if not bool(torch.isfinite(values).all()):
            raise Damage(
                "the student's logits contain NaN or infinity: training diverged",
                hint="retrain with a lower rate or --set precision=float32",
            )
        of_truth, numbers = values.gather(1, truth), torch.arange(self.classes, device=logits.device)
        rank = ((values > of_truth) | ((values == of_truth) & (numbers < truth))).sum(1)
        top, total = values.amax(1, keepdim=True), torch.logsumexp(values, 1, keepdim=True)
        guesses = (values == top).int().argmax(1)
        self._count(rank.cpu().numpy(), (total - of_truth)[:, 0].cpu().numpy())
        self._bin((top - total).exp()[:, 0].cpu().numpy(), rank.cpu().numpy() == 0)
        found = guesses.cpu().numpy()
        self._pairs.update(zip(labels.tolist(), found.tolist(), strict=True))
        return found

    def _count(self, rank: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        self.images += len(rank)
        self.right += int((rank < 1).sum())
        self.among_five += int((rank < 5).sum())
        self._loss += sum(map(round, (losses * _UNIT).tolist()))

    def _bin(self, confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
        places = np.clip(np.ceil(confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
        for place, confidence, is_right in zip(places.tolist(), confidences.tolist(), right.tolist(), strict=True):
            self._bins[place][0] += 1
            self._bins[place][1] += is_right
            self._bins[place][2] += round(confidence * _UNIT)

    @property
    def top1(self) -> float:
        """Fraction of images whose first guess is right."""
        return self.right / self.images

    @property
    def top5(self) -> float:
        """Fraction of images with the true class among the first five guesses."""
        return self.among_five / self.images

    @property
    def loss(self) -> float:
        """Mean cross-entropy with the true class."""
        return self._loss / self.images / _UNIT

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return sum(abs(right - confidence / _UNIT) for _, right, confidence in self._bins) / self.images

    def bins(self) -> tuple[Bin, ...]:
        """The bins of the calibration error, the least confident first."""
        return tuple(
            Bin(images=n, accuracy=right / max(n, 1), confidence=confidence / _UNIT / max(n, 1))
            for n, right, confidence in self._bins
        )

    def confusions(self) -> tuple[Confusion, ...]:
        """The non-zero cells of the confusion matrix, by true class and guess."""
        return tuple(Confusion(true=t, guessed=g, images=n) for (t, g), n in sorted(self._pairs.items()))
