"""The part in hand: batches of signals go in, a coded payload comes out, a thread seals it on disk."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec, Fields
from kdcache.store import Store
from kdcache.store.plan import VIEW_DIGEST, PartId, Plan

if TYPE_CHECKING:
    import torch


class PartInHand:
    """Collects the rows of one part in order.

    Rowwise codecs are applied a batch at a time, while the values are still on the device (top-k of 21,841 classes leaves
    little to copy). The others need every row of the part at once and wait for `finish`.
    """

    def __init__(self, plan: Plan, part: PartId, codecs: dict[str, Codec]) -> None:
        self.part = part
        self.bad: dict[int, str] = {}
        self._started = time.perf_counter()
        self._codecs = codecs
        self._rows = plan.rows_of(part)
        self._done = 0
        count = len(self._rows)
        self._fields: Fields = {VIEW_DIGEST.name: np.zeros(count, VIEW_DIGEST.dtype)}
        self._waiting: dict[str, NDArray[np.float32]] = {}
        for name, codec in codecs.items():
            if codec.rowwise:
                self._fields |= {f.name: np.zeros((count, *f.shape), f.dtype) for f in codec.fields()}
            else:
                self._waiting[name] = np.zeros((count, *codec.signal.shape), np.float32)

    @property
    def full(self) -> bool:
        """True when every row of the part is here."""
        return self._done == len(self._rows)

    def add(self, said: dict[str, "torch.Tensor"], digests: NDArray[np.uint32], bad: dict[int, str]) -> None:
        """Add the next rows; those of unreadable images become zeros."""
        here = slice(self._done, self._done + len(digests))
        places = [row - self._rows.start for row in bad]
        self._fields[VIEW_DIGEST.name][here] = digests
        for name, codec in self._codecs.items():
            values = said[name][: len(digests)]
            if not codec.rowwise:
                self._waiting[name][here] = values.cpu().numpy()
                self._waiting[name][places] = 0
                continue
            for field, coded in codec.encode(values).items():
                self._fields[field][here] = coded
                self._fields[field][places] = 0
        self.bad |= bad
        self._done = here.stop

    def finish(self) -> tuple[Fields, dict[str, Any]]:
        """Code what had to wait -> the payload, and the facts of its making."""
        import torch

        for name in list(self._waiting):
            self._fields |= self._codecs[name].encode(torch.from_numpy(self._waiting.pop(name)))
        return self._fields, {"seconds": round(time.perf_counter() - self._started, 3)}


class PartWriter:
    """Seals parts in a thread of its own, one at a time, so that the teacher does not wait for the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kd-writer")
        self._last: Future[int] | None = None

    def seal(self, part: PartInHand, facts: dict[str, Any]) -> int:
        """Hand over a full part; returns the bytes of the one before, and raises what went wrong with it."""
        written = self.wait()
        self._last = self._thread.submit(self._write, part, facts)
        return written

    def wait(self) -> int:
        """Wait for the part being written: its bytes, 0 when there is none."""
        last, self._last = self._last, None
        return last.result() if last else 0

    def _write(self, part: PartInHand, facts: dict[str, Any]) -> int:
        payload, made = part.finish()
        return self._store.write_part(part.part, payload, part.bad, made | facts).bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A part that is full is sealed even when the build is interrupted.
        self._thread.shutdown(wait=True)
