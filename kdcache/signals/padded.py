"""Rows that differ in length, as one array: each filled up to the longest there can be, with the lengths beside.

    values    (rows, positions, …)   an array, or a distribution with these leading axes
    lengths   (rows,)                how many positions of each row are there; what lies beyond is absent

A teacher hands such signals over in this form, a stream and a cache give them back in it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcache.signals.signal import Signal


def present(lengths: Any, positions: int) -> Any:
    """(rows, positions) booleans, true where a position is there: numpy or torch, whichever `lengths` is."""
    if isinstance(lengths, np.ndarray):
        return np.arange(positions) < lengths[:, None]
    torch = sys.modules["torch"]
    return torch.arange(positions, device=lengths.device) < lengths[:, None]


@dataclass(frozen=True)
class Padded:
    """Values of some rows, each with a length of its own.

    >>> rows = Padded(np.array([[4, 7, 9], [5, 0, 0]]), np.array([3, 1]))
    >>> rows.mask().tolist()
    [[True, True, True], [True, False, False]]
    >>> rows.values[rows.mask()].tolist()
    [4, 7, 9, 5]
    >>> rows[1:].lengths.tolist()
    [1]
    """

    values: Any
    """(rows, positions, …), array or tensor; or a `Distribution` of that leading shape. Zeros where nothing is there."""
    lengths: Any
    """(rows,) whole numbers, 0 to positions."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: Any) -> "Padded":
        return Padded(self.values[rows], self.lengths[rows])

    def __setitem__(self, rows: Any, other: Any) -> None:
        """Other rows, or 0, in place of these: of arrays."""
        self.values[rows], self.lengths[rows] = (
            (other.values, other.lengths) if isinstance(other, Padded) else (other, other)
        )

    def mask(self) -> Any:
        """(rows, positions) booleans, true where a position is there."""
        return present(self.lengths, self.positions)

    @property
    def positions(self) -> int:
        """The greatest length there can be."""
        return int(self.values.shape[1])

    def to(self, device: Any = "cpu") -> "Padded":
        """The same rows as torch tensors of their own on a device."""
        import torch

        moved = torch.tensor(self.values) if isinstance(self.values, np.ndarray) else self.values
        return Padded(moved.to(device), torch.as_tensor(self.lengths).to(device))

    def cpu(self) -> "Padded":
        """The same rows in the memory of the host."""
        return self.to("cpu")

    def numpy(self) -> "Padded":
        """The same tensors of the host as numpy arrays over the same memory."""
        return Padded(self.values.numpy(), self.lengths.numpy())

    def torch(self) -> "Padded":
        """The same numpy arrays as tensors over the same memory."""
        import torch

        return Padded(torch.from_numpy(self.values), torch.from_numpy(self.lengths))


def empty_rows(signal: Signal, count: int) -> Any:
    """Rows of a signal to be filled in: zeros as numpy has them, with lengths of 0 where rows have one."""
    values = np.zeros((count, *signal.shape), signal.dtype)
    return Padded(values, np.zeros(count, np.int32)) if signal.lengths else values


def as_torch(rows: Any) -> Any:
    """What `empty_rows` gave, as tensors over the same memory."""
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
