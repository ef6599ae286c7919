"""Write an Arrow IPC file to any function that takes bytes."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

_TOGETHER = 1 << 16
"""Bytes collected before each call of `write`, because Arrow itself writes many small pieces."""


@contextmanager
def arrow_writer(schema: pa.Schema, write: Callable[[Any], object]) -> Iterator[Any]:
    """A writer of record batches that passes its file to `write` piece by piece. Equal batches give equal bytes."""
    gathered = io.BufferedWriter(_Sink(write), _TOGETHER)
    with gathered, pa.PythonFile(gathered, mode="w") as out, pa.ipc.new_file(out, schema) as writer:
        yield writer


class _Sink(io.RawIOBase):
    """A binary file object that passes everything written to a function."""

    def __init__(self, write: Callable[[Any], object]) -> None:
        self._pass_on = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pass_on(data)
        return len(data)
