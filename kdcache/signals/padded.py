"""Rows of different lengths in one array: each is padded to the maximal length, and the lengths are kept as well.

    values    (rows, positions, …)   an array, or a distribution with these leading axes
    lengths   (rows,)                how many positions each row has; positions beyond that are absent

A teacher emits such signals in this form, and streams and caches return them in it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcache.signals.signal import Signal


def present(lengths: Any, positions: int) -> Any:
    """(rows, positions) booleans: true for positions within the length. Numpy or torch, like `lengths`."""
    if isinstance(lengths, np.ndarray):
        return np.arange(positions) < lengths[:, None]
    torch = sys.modules["torch"]
    return torch.arange(positions, device=lengths.device) < lengths[:, None]


@dataclass(frozen=True)
class Padded:
    """Values of some rows, each with its own length.

    >>> rows = Padded(np.array([[4, 7, 9], [5, 0, 0]]), np.array([3, 1]))
    >>> rows.mask().tolist()
    [[True, True, True], [True, False, False]]
    >>> rows.values[rows.mask()].tolist()
    [4, 7, 9, 5]
    >>> rows[1:].lengths.tolist()
    [1]
    """

    values: Any
    """(rows, positions, …) array or tensor, or a distribution with these leading axes. Zeros beyond each length."""
    lengths: Any
    """(rows,) whole numbers, 0 to positions."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: Any) -> "Padded":
        return Padded(self.values[rows], self.lengths[rows])

    def __setitem__(self, rows: Any, other: Any) -> None:
        """Replace rows by other rows or by 0; only for arrays."""
        self.values[rows], self.lengths[rows] = (
            (other.values, other.lengths) if isinstance(other, Padded) else (other, other)
        )

    def mask(self) -> Any:
        """(rows, positions) booleans: true for positions within the length."""
        return present(self.lengths, self.positions)

    @property
    def positions(self) -> int:
        """The maximal length."""
        return int(self.values.shape[1])

    def to(self, device: Any = "cpu") -> "Padded":
        """A copy of the rows as torch tensors on a device."""
        import torch

        moved = torch.tensor(self.values) if isinstance(self.values, np.ndarray) else self.values
        return Padded(moved.to(device), torch.as_tensor(self.lengths).to(device))

    def cpu(self) -> "Padded":
        """The rows in host memory."""
        return self.to("cpu")

    def numpy(self) -> "Padded":
        """Host tensors as numpy arrays over the same memory."""
        return Padded(self.values.numpy(), self.lengths.numpy())

    def torch(self) -> "Padded":
        """Numpy arrays as tensors over the same memory."""
        import torch

        return Padded(torch.from_numpy(self.values), torch.from_numpy(self.lengths))


def empty_rows(signal: Signal, count: int) -> Any:
    """Empty rows of a signal to fill: numpy zeros, `Padded` with lengths of 0 if the signal has lengths."""
    values = np.zeros((count, *signal.shape), signal.dtype)
    return Padded(values, np.zeros(count, np.int32)) if signal.lengths else values


def as_torch(rows: Any) -> Any:
    """The result of `empty_rows` as tensors over the same memory."""
    import torch

    return rows.torch() if isinstance(rows, Padded) else torch.from_numpy(rows)


def joined(pieces: Sequence[Any]) -> Any:
    """Concatenate tensors, or padded tensors, along their rows."""
    import torch

    if len(pieces) == 1:
        return pieces[0]
    if not isinstance(pieces[0], Padded):
        return torch.cat(list(pieces))
    return Padded(torch.cat([p.values for p in pieces]), torch.cat([torch.as_tensor(p.lengths) for p in pieces]))
