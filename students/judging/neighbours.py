"""Exact nearest neighbours by cosine, computed in blocks so that the full similarity matrix is never in memory.

Input: queries and a bank, float32, on any device. Output: for each query the nearest rows of the bank and their cosines; of
equal cosines the lower row comes first.
"""

import torch
from torch import Tensor
from torch.nn import functional

QUERIES, BANK = 1024, 16_384
"""Rows of queries and of the bank in one block: 64 MiB of similarities."""


def nearest(
    queries: Tensor, bank: Tensor, count: int, *, queries_a_piece: int = QUERIES, bank_a_piece: int = BANK
) -> tuple[Tensor, Tensor]:
    """Cosines and rows of the bank, each (queries, count), nearest first; `count` is at most the size of the bank."""
    count = min(count, len(bank))
    known = functional.normalize(bank.float(), dim=1)
    found = [
        _nearest(functional.normalize(piece.float(), dim=1), known, count, bank_a_piece)
        for piece in torch.split(queries, queries_a_piece)
    ]
    cosines, rows = zip(*found, strict=True)
    return torch.cat(cosines), torch.cat(rows)


def _nearest(queries: Tensor, bank: Tensor, count: int, piece: int) -> tuple[Tensor, Tensor]:
    """The nearest rows, updated block by block."""
    cosines = queries.new_empty((len(queries), 0))
    rows = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
    for first in range(0, len(bank), piece):
        near, where = _best(queries @ bank[first : first + piece].T, count)
        # A stable sort keeps earlier blocks, whose rows are lower, in front of equal cosines.
        cosines, order = torch.cat([cosines, near], 1).sort(dim=1, descending=True, stable=True)
        cosines, rows = cosines[:, :count], torch.cat([rows, where + first], 1).gather(1, order[:, :count])
    return cosines, rows


def _best(alike: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest values of each row and their columns, largest first; of equal values the first column wins."""
    count = min(count, alike.shape[1])
    found, places = alike.topk(count, dim=1)
    places = places.sort(1).values
    crowded = (alike >= found[:, -1:]).sum(1) > count
    if crowded.any():
        places[crowded] = alike[crowded].sort(dim=1, descending=True, stable=True).indices[:, :count].sort(1).values
    values, order = alike.gather(1, places).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, order)
