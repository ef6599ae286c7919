"""The part being built: it collects batches of signals, encodes them, and a thread writes it to disk."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.codec import Codec, Fields
from kdcache.errors import Damage
from kdcache.signals.padded import as_torch, empty_rows
from kdcache.store import Store
from kdcache.store.plan import VIEW_DIGEST, PartId

if TYPE_CHECKING:
    import torch


class PartInHand:
    """Collects and encodes the rows of one part, in order.

    Row-wise codecs are applied batch by batch while the values are still on the device (top-k of 21,841 classes leaves
    little to copy). Other codecs need all rows of the part and are applied in `finish`, and so are the later codecs of a
    signal whose cache was converted.
    """

    def __init__(self, store: Store, part: PartId, ways: dict[str, tuple[Codec, ...]]) -> None:
        self.part = part
        self.bad: dict[int, str] = {}
        self._started = time.perf_counter()
        self._ways = ways
        self._codecs = codecs = {name: way[0] for name, way in ways.items()}
        self._index = store.index
        self._rows = store.plan.rows_of(part)
        self._done = 0
        count = len(self._rows)
        self._fields: Fields = {VIEW_DIGEST.name: np.zeros(count, VIEW_DIGEST.dtype)}
        self._waiting: dict[str, Any] = {}
        for name, codec in codecs.items():
            if codec.rowwise:
                self._fields |= {f.name: np.zeros((count, *f.shape), f.dtype) for f in codec.fields()}
            else:
                self._waiting[name] = empty_rows(codec.signal, count)

    @property
    def full(self) -> bool:
        """True when all rows of the part have been added."""
        return self._done == len(self._rows)

    def add(self, outputs: dict[str, "torch.Tensor"], digests: NDArray[np.uint32], bad: dict[int, str]) -> None:
        """Add the next rows; rows of unreadable images (`bad`) become zeros."""
        here = slice(self._done, self._done + len(digests))
        places = [row - self._rows.start for row in bad]
        self._fields[VIEW_DIGEST.name][here] = digests
        for name, codec in self._codecs.items():
            values = outputs[name][: len(digests)]
            if not codec.rowwise:
                self._waiting[name][here] = values.cpu().numpy()
                self._waiting[name][places] = 0
                continue
            for field, coded in self._encoded(codec, values, self._rows[here]).items():
                self._fields[field][here] = coded
                self._fields[field][places] = 0
        self.bad |= bad
        self._done = here.stop

    def finish(self) -> tuple[Fields, dict[str, Any]]:
        """Encode what needs all rows; return the payload, and facts about how it was made."""
        for name in list(self._waiting):
            values = as_torch(self._waiting.pop(name))
            self._fields |= self._encoded(self._codecs[name], values, self._rows)
        places = [row - self._rows.start for row in self.bad]
        for way in self._ways.values():
            first = {field.name: self._fields.pop(field.name) for field in way[0].fields()}
            self._fields |= along(way, first, places)
        return self._fields, {"seconds": round(time.perf_counter() - self._started, 3)}

    def _encoded(self, codec: Codec, values: "torch.Tensor", rows: range) -> Fields:
        """Encode values; the error for a value that must not be stored names the image and the part."""
        try:
            return codec.encode(values)
        except Damage as error:
            wrong = [rows[place] for place in error.details["rows"]]
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            reason = error.details.get("reason", error.message)
            message = f"{reason}: {codec.signal.name} of {self._index[wrong[0]]!r}{more}"
            raise Damage(
                f"{message}, part {self.part}, row {wrong[0]}", hint=error.hint, part=str(self.part), rows=wrong
            ) from error


def along(way: Sequence[Codec], fields: Fields, bad: Sequence[int]) -> Fields:
    """Convert all rows of a part from the first codec of `way` to the last, step by step. Rows of `bad` images stay zeros."""
    for before, after in pairwise(way):
        fields = after.recode(before.decode(fields))
        for field in after.fields():
            if not field.per_part:
                fields[field.name][list(bad)] = 0
    return fields


class PartWriter:
    """Writes parts in its own thread, one at a time, so that the teacher does not wait for the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kd-writer")
        self._last: Future[int] | None = None

    def seal(self, part: PartInHand, facts: dict[str, Any]) -> int:
        """Start writing a full part. Returns the bytes of the part before it, or raises the error of writing that one."""
        written = self.wait()
        self._last = self._thread.submit(self._write, part, facts)
        return written

    def wait(self) -> int:
        """Wait until the part being written is done; returns its bytes, 0 when there is none."""
        last, self._last = self._last, None
        return last.result() if last else 0

    def _write(self, part: PartInHand, facts: dict[str, Any]) -> int:
        payload, made = part.finish()
        return self._store.write_part(part.part, payload, part.bad, made | facts).bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A full part is still written when the build is interrupted.
        self._thread.shutdown(wait=True)
