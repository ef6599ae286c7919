"""What every objective gives: one loss a row, and its parts."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """One value a row; a part that there is not is None."""

    total: Tensor
    soft: Tensor | None
    hard: Tensor | None
