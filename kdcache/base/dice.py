"""Random numbers that depend only on (seed, image id, view), never on workers, ranks or batches.

Only the raw 64-bit words of Philox are used: numpy promises that they never change, while the methods of its Generator may.
Everything else (integers, normal values, Beta) is made here from those words, so a view drawn today is drawn the same
in ten years on another machine. Never use a global generator in this project.
"""

import math

import numpy as np
from numpy.typing import NDArray

_WORD = 1 << 64
_TO_UNIT = 2.0**-53


class Dice:
    """A stream of random words keyed by (seed, key) and a counter that starts at (view, purpose)."""

    def __init__(self, seed: int, key: int, view: int = 0, purpose: int = 0) -> None:
        self._bits = np.random.Philox(
            key=np.array([seed % _WORD, key % _WORD], np.uint64),
            counter=np.array([0, 0, view % _WORD, purpose % _WORD], np.uint64),
        )

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` raw words."""
        return np.asarray(self._bits.random_raw(count), np.uint64)

    def word(self) -> int:
        """The next raw word."""
        return int(self._bits.random_raw())

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """`count` values in [0, 1), 53 bits each."""
        return (self.words(count) >> np.uint64(11)).astype(np.float64) * _TO_UNIT

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One value in [low, high)."""
        return low + (high - low) * ((self.word() >> 11) * _TO_UNIT)

    def below(self, count: int) -> int:
        """An integer in [0, count)."""
        return self.word() * count >> 64

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform() < probability

    def normal(self) -> float:
        """One standard normal value (Box-Muller)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())

    def beta(self, alpha: float, beta: float) -> float:
        """One Beta(alpha, beta) value, from two gamma values (Marsaglia and Tsang)."""
        x, y = self._gamma(alpha), self._gamma(beta)
        return x / (x + y)

    def _gamma(self, shape: float) -> float:
        if shape < 1.0:
            boost: float = (1.0 - self.uniform()) ** (1.0 / shape)
            return self._gamma(shape + 1.0) * boost
        d = shape - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        while True:
            x = self.normal()
            v = (1.0 + c * x) ** 3
            if v > 0 and math.log(1.0 - self.uniform()) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v


def permuted(index: int, count: int, seed: int, round_key: int = 0) -> int:
    """Where `index` lands in a seeded permutation of range(count), without making the permutation.

    A four-round Feistel network over an even number of bits, applied again until the result lies inside the range.
    """
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    keys = [int(k) for k in Dice(seed, round_key, purpose=0xFE157E1).words(4)]
    value = index
    while True:
        left, right = value >> half, value & mask
        for key in keys:
            mixed = (right * 0x9E3779B97F4A7C15 + key) % _WORD
            mixed ^= mixed >> 29
            mixed = mixed * 0xBF58476D1CE4E5B9 % _WORD
            left, right = right, left ^ (mixed >> 32 & mask)
        value = left << half | right
        if value < count:
            return value


def chosen(few: int, of: int, seed: int, purpose: int) -> NDArray[np.int64]:
    """A seeded choice of `few` numbers of range(of), ascending; all of them when there are no more than `few`."""
    if few >= of:
        return np.arange(of)
    order = np.argsort(Dice(seed, 0, purpose=purpose).words(of), kind="stable")
    return np.sort(order[:few])
