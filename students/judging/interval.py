"""95 % intervals of a counted fraction, and of the mean of many independent values."""

import math

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


def wilson(right: int, count: int) -> tuple[float, float]:
    """The Wilson score interval of `right` out of `count`, which stays within 0 to 1 and is accurate near both."""
    assert 0 <= right <= count
    assert count > 0
    share, spread = right / count, Z * Z / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / count + spread / count / 4) / (1 + spread)
    return (0.0 if right == 0 else centre - half), (1.0 if right == count else centre + half)


def half_width(values: NDArray[np.float64]) -> float:
    """Half width of the 95 % interval of the mean of some values: 1.96 standard deviations / sqrt(count)."""
    return Z * float(values.std()) / math.sqrt(len(values))
