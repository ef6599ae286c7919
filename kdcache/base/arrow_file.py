"""An Arrow IPC file, written to anything that takes bytes."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

_TOGETHER = 1 << 16
"""Number of bytes handed on at once, because Arrow writes in many small pieces."""


@contextmanager
def arrow_writer(schema: pa.Schema, write: Callable[[Any], object]) -> Iterator[Any]:
    """A writer of record batches, whose file goes to `write` piece by piece: the same batches give the same bytes."""
    gathered = io.BufferedWriter(_Sink(write), _TOGETHER)
    with gathered, pa.PythonFile(gathered, mode="w") as out, pa.ipc.new_file(out, schema) as writer:
        yield writer


class _Sink(io.RawIOBase):
    """A binary file that passes everything on."""

    def __init__(self, write: Callable[[Any], object]) -> None:
        self._pass_on = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pass_on(data)
        return len(data)
