"""The input of a teacher: pixels and, for teachers that read text, token ids.

Input: rendered pixels and, for teachers that read text, the token ids of each image. Output: one record for a whole batch, and
the digests of rows, which cover both.
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
    """A batch of a teacher's input."""

    pixels: "torch.Tensor"
    """The views, uint8 (batch, height, width, 3), on any device."""
    tokens: "torch.Tensor | None" = None
    """Token ids, int64 (batch, longest), zero beyond the length of a row. None for a teacher that is shown only
    pixels.
    """
    lengths: "torch.Tensor | None" = None
    """Number of token ids in each row, int64 (batch,)."""

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> "Shown":
        return self._each(lambda values: values[rows])

    def padded(self, size: int) -> "Shown":
        """The batch padded to `size` rows with black images without tokens."""
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
    """Token ids that a teacher is shown together with images."""

    ids: Mapping[str, Sequence[int]]
    """Image id -> its token ids."""
    longest: int
    """Width to which every batch is padded, so that the signals of a row do not depend on other rows."""

    def row(self, image_id: str) -> NDArray[np.int64]:
        """The token ids of one image."""
        if (found := self.ids.get(image_id)) is None:
            raise Mismatch(f"the teacher reads token ids, and {image_id} has none", hint="give ids for every image")
        row = np.asarray(found, np.int64)
        if row.ndim != 1 or len(row) > self.longest or (row < 0).any():
            raise Mismatch(
                f"the token ids of {image_id} are {row.shape} numbers from {row.min(initial=0)}, "
                f"where up to {self.longest} from 0 are expected",
                hint="shorten them to what the teacher reads",
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
    """The token ids of some images, padded to `batch` rows. None stands for an unreadable image, which has none."""
    found = TokenBatch(np.zeros((batch, tokens.longest), np.int64), np.zeros(batch, np.int64))
    for place, image_id in enumerate(image_ids):
        if image_id is not None:
            row = tokens.row(image_id)
            found.ids[place, : len(row)] = row
            found.lengths[place] = len(row)
    return found


def row_digests(pixels: NDArray[np.uint32], tokens: TokenBatch) -> NDArray[np.uint32]:
    """Digests of rows that cover pixel digests and token ids; an unreadable row keeps its digest 0."""
    rows = zip(pixels.tolist(), tokens.ids, tokens.lengths.tolist(), strict=False)
    return np.array([shown_digest(digest, ids[:length]) if digest else 0 for digest, ids, length in rows], np.uint32)


def needed_tokens(source: Any) -> Tokens:
    """The token ids of a source (its attribute `tokens`), for a teacher that reads them.

    This is the only place that reads token ids from a source; a truth column of token ids would be read here.
    """
    tokens = getattr(source, "tokens", None)
    if not isinstance(tokens, Tokens):
        message = f"the teacher reads token ids, which the images of {source.name} do not have"
        raise Mismatch(message, hint="use images with token ids for this teacher, or another --teacher")
    return tokens
