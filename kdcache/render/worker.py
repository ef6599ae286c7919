"""A render worker process: it gets tasks, writes pixels into shared memory and returns digests. It never imports torch.

It ends when its parent closes the connection, or within a second after the parent has died.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from kdcache.base.digest import pixel_digest
from kdcache.errors import BadImage, KDError
from kdcache.images.source import Source
from kdcache.render.ring import Shape, mapped_slots
from kdcache.views import Ids, view_pixels
from kdcache.views.recipe import Augment, Plain
from kdcache.views.replay import UNREADABLE

WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Setup:
    """All that a worker needs to know, sent once."""

    source: Source
    recipe: Plain | Augment
    seed: int
    ids: Ids
    shape: Shape
    slots: int


@dataclass(frozen=True)
class RenderTask:
    """Some rows of a batch: the pixels of `rows[i]` belong in `slot` at position `first + i`."""

    batch: int
    slot: int
    first: int
    view: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Done:
    """A finished task: the digest of each row, and the reasons of bad rows."""

    task: RenderTask
    digests: tuple[int, ...]
    bad: dict[int, str]


@dataclass(frozen=True)
class Failed:
    """A failed task: an error that the user can solve, or the traceback of a bug."""

    error: KDError | str


def render_rows(
    setup: Setup, view: int, rows: Sequence[int], out: NDArray[np.uint8]
) -> tuple[list[int], dict[int, str]]:
    """Render rows into `out`. A bad image becomes black; its digest is UNREADABLE and its reason is in the dict."""
    from kdcache.images import load

    read = partial(load, setup.source, background=setup.recipe.background)
    size = (setup.shape[1], setup.shape[2])
    digests: list[int] = []
    bad: dict[int, str] = {}
    for place, row in enumerate(rows):
        try:
            out[place] = view_pixels(
                setup.recipe, seed=setup.seed, view=view, row=row, size=size, ids=setup.ids, load=read
            )
            digests.append(pixel_digest(out[place]))
        except BadImage as error:
            out[place] = 0
            digests.append(UNREADABLE)
            bad[row] = error.message
    return digests, bad


def main() -> None:
    """Serve one parent. argv has the descriptors of the connection and the ring, and the parent's pid."""
    connection_descriptor, ring_descriptor, parent = map(int, sys.argv[1:])
    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()
    with Connection(connection_descriptor) as connection:
        try:
            _serve(connection, ring_descriptor)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except Exception:  # noqa: BLE001  whatever went wrong, the parent shall say it
            connection.send(Failed(traceback.format_exc()))


def _serve(connection: Connection, ring_descriptor: int) -> None:
    setup: Setup = connection.recv()
    slots = mapped_slots(ring_descriptor, setup.shape, setup.slots)
    while True:
        task: RenderTask = connection.recv()
        out = slots[task.slot, task.first : task.first + len(task.rows)]
        try:
            digests, bad = render_rows(setup, task.view, task.rows, out)
        except KDError as error:
            connection.send(Failed(error))
        else:
            connection.send(Done(task, tuple(digests), bad))


def leave_with(parent: int) -> None:
    """Wait until the parent has ended, then end this process. Run it in a separate thread."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
