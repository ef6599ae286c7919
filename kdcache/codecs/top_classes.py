"""`TopK`: distributions of which only the likeliest classes and the total mass of the others are known (distribution.py)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.tails import Tail, check_tail, check_temperature, namespace, softmax, tail_logit
from kdcache.signals.padded import present


class Sparse(NamedTuple):
    """Distributions in sparse form: k listed classes a row, and one number for all other classes."""

    ids: Any
    """Class numbers, (n, k); with positions (n, L, k), and so on."""
    p: Any
    """Probabilities of the listed classes, of the same shape as `ids`."""
    rest: Any
    """Remaining probability, (n,). With `uniform`: that of each unlisted class; with `bucket`: that of one additional
    class; otherwise 0.
    """


@dataclass(frozen=True)
class TopK:
    """The k likeliest classes of some rows (or positions), their log-probabilities, and the mass of all other classes."""

    ids: Any
    """Class numbers, int64 (n, k) or (n, L, k), likeliest first."""
    logp: Any
    """Log-probabilities at temperature 1, float32 of the same shape as `ids`."""
    tails: Any
    """Log of (tail mass / head mass) at temperatures 1, 2 and 4, float32 (n, 3) or (n, L, 3); -inf for no tail. The
    last axis has length 1 when only temperature 1 is known.
    """
    classes: int
    lengths: Any = None
    """Number of positions in each row, (n,); None where all rows have the same number, or there are no positions."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, classes) or (n, L, classes)"""
        return (*self.ids.shape[:-1], self.classes)

    def __getitem__(self, rows: slice) -> "TopK":
        lengths = None if self.lengths is None else self.lengths[rows]
        return TopK(self.ids[rows], self.logp[rows], self.tails[rows], self.classes, lengths)

    def at(self, mask: Any) -> "TopK":
        """The distributions at the positions that a mask (n, L) selects, each as a row."""
        return TopK(self.ids[mask], self.logp[mask], self.tails[mask], self.classes)

    def up_to(self, length: int) -> "TopK":
        """The first `length` positions of the first row."""
        return TopK(self.ids[:1, :length], self.logp[:1, :length], self.tails[:1, :length], self.classes)

    def mask(self) -> Any:
        """(n, L) booleans: which positions each row has. Only for distributions with lengths."""
        return present(self.lengths, self.ids.shape[1])

    def to(self, device: Any = "cpu") -> "TopK":
        """The same rows as torch tensors on a device."""
        import torch

        ids, logp, tails = (torch.as_tensor(array).to(device) for array in (self.ids, self.logp, self.tails))
        lengths = None if self.lengths is None else torch.as_tensor(self.lengths).to(device)
        return TopK(ids, logp, tails, self.classes, lengths)

    def sparse(self, temperature: float = 1.0, tail: Tail = "uniform") -> Sparse:
        """The distribution at a temperature, in sparse form.

        `uniform`: the tail mass is spread evenly over the classes that are not listed. `bucket`: it is one extra class.
        `renormalise`: the head alone sums to 1. `none`: the head keeps its true share, so p sums to 1 - tail mass.
        Beyond the length of a row everything is zero.
        """
        check_tail(tail)
        check_temperature(temperature)
        xp = namespace(self.logp)
        weights = xp.exp(self.logp / temperature)
        total = weights.sum(-1)
        if tail == "renormalise":
            return self._present(Sparse(self.ids, weights / total[..., None], xp.zeros_like(total)))
        odds = xp.exp(tail_logit(self.logp, self.tails, self.classes, temperature))
        p = weights / (total * (1 + odds))[..., None]
        mass = odds / (1 + odds)
        others = max(self.classes - self.ids.shape[-1], 1)
        rest = {"uniform": mass / others, "bucket": mass, "none": xp.zeros_like(mass)}[tail]
        return self._present(Sparse(self.ids, p, rest))

    def _present(self, found: Sparse) -> Sparse:
        if self.lengths is None:
            return found
        mask = self.mask()
        return Sparse(found.ids, found.p * mask[..., None], found.rest * mask)

    def probabilities(self, temperature: float = 1.0, tail: Tail = "uniform") -> Any:
        """The distribution at a temperature as a dense float32 (n, classes) array; `bucket` adds one column for the tail."""
        ids, p, rest = self.sparse(temperature, tail)
        xp = namespace(p)
        shape = (*ids.shape[:-1], self.classes + (tail == "bucket"))
        dense = xp.zeros_like(p, shape=shape) if xp is np else p.new_zeros(shape)
        if tail == "uniform":
            dense += rest[..., None]
        if tail == "bucket":
            dense[..., self.classes] = rest
        if xp is np:
            np.put_along_axis(dense, ids, p, -1)
        else:
            dense.scatter_(-1, ids, p)
        return dense

    def top(self, count: int) -> tuple[Any, Any]:
        """The `count` likeliest classes of each row (or all if fewer), likeliest first, with probabilities. Numpy only."""
        return self.ids[..., :count], np.exp(self.logp[..., :count])

    def as_logits(self) -> Any:
        """Logits of all classes with nearly this distribution: its log-probabilities, the tail spread evenly."""
        import torch

        return torch.from_numpy(self.probabilities()).clamp_min(torch.finfo(torch.float32).tiny).log()

    def furthest(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Largest difference in the probability of a listed class, compared with other `logits`: (n,) or (n, L)."""
        chosen = np.take_along_axis(softmax(logits.astype(np.float64)), self.ids, -1)
        return np.asarray(np.abs(self.sparse(1.0, "none").p - chosen).max(-1))

    def plain(self, row: int) -> dict[str, Any]:
        """The listed classes of one row as JSON values."""
        return {
            "ids": self.ids[row].tolist(),
            "log_probabilities": self.logp[row].tolist(),
            "tail": self.sparse(tail="bucket").rest[row].tolist(),
            "classes": self.classes,
        }
