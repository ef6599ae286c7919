"""Signals and true distributions that the tests of codecs share."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdcache.signals.signal import Signal


def logits_signal(classes: int) -> Signal:
    return Signal(name="logits", shape=(classes,))


def features_signal(tokens: int, dim: int) -> Signal:
    return Signal(name="features", shape=(tokens, dim), grid=(1, tokens))


def softmax(z: torch.Tensor, temperature: float = 1.0) -> NDArray[np.float64]:
    true: NDArray[np.float64] = (z.double() / temperature).softmax(-1).numpy()
    return true


def kl(true: NDArray[Any], decoded: NDArray[Any]) -> NDArray[Any]:
    """KL(true || said) a row; where true is 0 nothing is added."""
    true = true.astype(np.float64)
    ratio = np.log(np.maximum(true, 1e-300)) - np.log(np.maximum(decoded.astype(np.float64), 1e-300))
    result: NDArray[Any] = (true * ratio).sum(-1)
    return result
