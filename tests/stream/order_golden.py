"""Digests of orders and streams, as the program gave them before there were items: `python -m tests.stream.order_golden`
prints those of today. `order_golden.json` was made at commit 1cc967d and is not to be made again.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from kdcache import Cache
from kdcache.stream.order import Order, Share

CACHES = Path(__file__).parents[1] / "golden" / "caches"
RECORDED = Path(__file__).with_suffix(".json")


def order_digests() -> dict[str, str]:
    """One digest for the orders of several sizes, seeds, epochs, kinds of shuffle and numbers of processes."""
    digests = {}
    for rows, bad in ((1, []), (12, [3]), (90, [0, 3, 41, 89]), (1000, [7, 500, 501])):
        for shuffle in ("full", "blocks", False):
            for seed, epoch in ((0, 0), (0, 5), (7, 3), (2**40, 1)):
                order = Order(
                    rows,
                    seed=seed,
                    epoch=epoch,
                    shuffle=shuffle,
                    rejected=np.array(bad, np.int64) if bad else None,
                    run=8,
                    window=3,
                )
                state = hashlib.sha256()
                for batch, world, drop_last in (
                    (1, 1, False),
                    (7, 1, True),
                    (4, 2, False),
                    (5, 3, True),
                    (3, 8, False),
                ):
                    for rank in range(world):
                        share = Share(len(order), batch, rank, world, drop_last)
                        for number in range(len(share)):
                            state.update(order.slice(*share.span(number)).astype("<i8").tobytes())
                if shuffle == "blocks":
                    for position in range(0, len(order), 5):
                        state.update(repr(order.lookahead(position)).encode())
                        for ends in order.window(position):
                            state.update(ends.astype("<i8").tobytes())
                digests[f"rows={rows} shuffle={shuffle} seed={seed} epoch={epoch}"] = state.hexdigest()
    return digests


def stream_digests() -> dict[str, str]:
    """One digest for the batches of streams over the golden caches: numbers, rows, views, ids, labels and bytes."""
    digests = {}
    for name in ("hdf5", "zarr-blosc", "plain", "photos"):
        cache = Cache.open(CACHES / name)
        for shuffle in ("full", "blocks", False):
            for seed, epoch, world, start in ((0, 0, 1, 0), (3, 1, 2, 1), (7, 2, 3, 0)):
                state = hashlib.sha256()
                for rank in range(world):
                    stream = cache.stream(
                        3, shuffle=shuffle, seed=seed, epoch=epoch, rank=rank, world=world, start=start
                    )
                    for batch in stream:
                        state.update(repr((len(stream), batch.number, batch.view, batch.ids)).encode())
                        state.update(batch.rows.astype("<i8").tobytes())
                        state.update(b"" if batch.labels is None else batch.labels.tobytes())
                        for field, array in batch.fields.items():
                            state.update(field.encode() + array.tobytes())
                digests[f"{name} shuffle={shuffle} seed={seed} epoch={epoch} world={world}"] = state.hexdigest()
    return digests


if __name__ == "__main__":
    print(json.dumps({"orders": order_digests(), "streams": stream_digests()}, indent=1))  # noqa: T201
