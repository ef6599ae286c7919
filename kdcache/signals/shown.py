"""What a teacher is shown: pixels, and where it needs them token ids.

Input: rendered pixels and, for teachers that read, the token ids of each image. Output: one record for a whole batch, and the
digest of a row, which covers all of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.digest import shown_digest
from kdcache.errors import Mismatch

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Shown:
    """A batch as a teacher is shown it."""

    pixels: "torch.Tensor"
    """The views, uint8 (batch, height, width, 3), on any device."""
    tokens: "torch.Tensor | None" = None
    """Token ids, int64 (batch, longest), zero beyond the length of a row. None for a teacher that is shown pixels
    alone.
    """
    lengths: "torch.Tensor | None" = None
    """Number of token ids in each row, int64 (batch,)."""

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> "Shown":
        return self._each(lambda values: values[rows])

    def padded(self, size: int) -> "Shown":
        """The same with black images without tokens after it, until it has `size` rows."""
        import torch

        missing = size - len(self)
        if missing <= 0:
            return self
        return self._each(lambda values: torch.cat([values, values.new_zeros((missing, *values.shape[1:]))]))

    def _each(self, change: Callable[["torch.Tensor"], "torch.Tensor"]) -> "Shown":
        if self.tokens is None or self.lengths is None:
            return Shown(change(self.pixels))
        return Shown(change(self.pixels), change(self.tokens), change(self.lengths))


@dataclass(frozen=True)
class Tokens:
    """Token ids that a teacher is shown beside images."""

    ids: Mapping[str, Sequence[int]]
    """Image id -> its token ids."""
    longest: int
    """Width that every batch is padded to: what is emitted about a row must not depend on its neighbours."""

    def row(self, image_id: str) -> NDArray[np.int64]:
        """The ids of one image."""
        if (found := self.ids.get(image_id)) is None:
            raise Mismatch(f"the teacher reads token ids, and {image_id} has none", hint="give ids for every image")
        row = np.asarray(found, np.int64)
        if row.ndim != 1 or len(row) > self.longest or (row < 0).any():
            raise Mismatch(
                f"the token ids of {image_id} are {row.shape} numbers from {row.min(initial=0)}, "
                f"where up to {self.longest} from 0 are expected",
                hint="cut them to the longest the teacher reads",
            )
        return row


@dataclass(frozen=True)
class TokenBatch:
    """The token ids of the rows of a batch."""

    ids: NDArray[np.int64]
    """(batch, longest), zero beyond the length of a row."""
    lengths: NDArray[np.int64]
    """Number of token ids in each row, int64 (batch,)."""


def token_batch(tokens: Tokens, image_ids: Sequence[str | None], batch: int) -> TokenBatch:
    """Those of some images, filled up to `batch` rows; None stands for an image that cannot be read, which has none."""
    found = TokenBatch(np.zeros((batch, tokens.longest), np.int64), np.zeros(batch, np.int64))
    for place, image_id in enumerate(image_ids):
        if image_id is not None:
            row = tokens.row(image_id)
            found.ids[place, : len(row)] = row
            found.lengths[place] = len(row)
    return found


def row_digests(pixels: NDArray[np.uint32], tokens: TokenBatch) -> NDArray[np.uint32]:
    """Digests of rows from those of their pixels; a row that could not be read keeps its zero."""
    rows = zip(pixels.tolist(), tokens.ids, tokens.lengths.tolist(), strict=False)
    return np.array([shown_digest(digest, ids[:length]) if digest else 0 for digest, ids, length in rows], np.uint32)


def needed_tokens(source: Any) -> Tokens:
    """The token ids a source brings, as its attribute `tokens`, for a teacher that reads them.

    A truth column of token ids will be read here: nothing else asks a source for them.
    """
    tokens = getattr(source, "tokens", None)
    if not isinstance(tokens, Tokens):
        message = f"the teacher reads token ids, which the images of {source.name} do not bring"
        raise Mismatch(message, hint="give images that bring the teacher's token ids, or another --teacher")
    return tokens
