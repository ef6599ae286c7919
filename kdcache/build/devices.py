"""Build on several devices of one machine: one process a device, each with its own share of the missing parts.

The parent holds the build lock for all of them, so none may outlive it: when the parent is gone, each child ends within half a
second and before its next batch.
"""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcache.base.children import out_of_reach
from kdcache.base.progress import Progress
from kdcache.errors import KDError
from kdcache.store.plan import PartId

if TYPE_CHECKING:
    from kdcache.build.prepare import Prepared
    from kdcache.store import Store

POLL_SECONDS = 0.2


def build_on_devices(store: "Store", prepared: "Prepared", todo: Sequence[PartId], progress: Progress) -> None:
    """Build the missing parts on all requested devices. The first failure stops all of them."""
    context = multiprocessing.get_context("spawn")
    messages: Queue[tuple[str, Any]] = context.Queue()
    devices = prepared.options.devices
    workers = max(1, prepared.options.render_workers // len(devices))
    children = [
        context.Process(
            target=_child,
            args=(os.getpid(), store.path, prepared.source, prepared.options, device, share, workers, messages),
        )
        for device, share in zip(devices, (todo[i :: len(devices)] for i in range(len(devices))), strict=True)
        if share
    ]
    try:
        with out_of_reach():
            for child in children:
                child.start()
        _follow(children, messages, progress)
    finally:
        for child in children:
            child.terminate()
            child.join()


def _follow(children: Sequence[Any], messages: "Queue[tuple[str, Any]]", progress: Progress) -> None:
    """Pass on the messages of the children until all are done."""
    from queue import Empty

    running = len(children)
    while running:
        try:
            what, value = messages.get(timeout=POLL_SECONDS)
        except Empty:
            dead = [c for c in children if c.exitcode not in (None, 0)]
            if dead:
                raise KDError(
                    f"a build process died with exit code {dead[0].exitcode}", hint="run the same command again"
                ) from None
            continue
        if what == "advance":
            progress.advance(value["images"], bytes=value["bytes"], rejected=value["rejected"])
        elif what == "note":
            progress.note(value)
        elif what == "warn":
            progress.warn(value)
        elif what == "failed":
            raise value
        else:
            running -= 1


class _ProgressToParent:
    """The `Progress` of a child process, which sends everything to its parent."""

    def __init__(self, queue: "Queue[tuple[str, Any]]", parent: int) -> None:
        self._queue = queue
        self._parent = parent

    def start(self, stage: str, total: int, done: int = 0) -> None:
        """Do nothing: the parent has started the stage already."""

    def advance(self, images: int, *, bytes: int = 0, rejected: int = 0) -> None:
        """Send a step to the parent; end this process when the parent, and with it the build lock, is gone."""
        if os.getppid() != self._parent:
            os._exit(1)
        self._queue.put(("advance", {"images": images, "bytes": bytes, "rejected": rejected}))

    def note(self, text: str) -> None:
        """Send a line to the parent."""
        self._queue.put(("note", text))

    def warn(self, text: str) -> None:
        """Send a line to the parent."""
        self._queue.put(("warn", text))

    def doing(self, what: str) -> None:
        """Do nothing: the parent's progress bar shows enough."""

    def aside(self, text: str) -> None:
        """Do nothing: a build shows no text beside its numbers."""

    def finish(self) -> None:
        """Do nothing: the parent finishes the stage."""


def _child(
    parent: int,
    path: Path,
    source: Any,
    options: Any,
    device: str,
    todo: Sequence[PartId],
    workers: int,
    messages: "Queue[tuple[str, Any]]",
) -> None:
    from kdcache.build.parts import build_parts
    from kdcache.render.worker import leave_with
    from kdcache.store import Store
    from kdcache.teachers.reopen import reopen_teacher

    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()
    try:
        store = Store.open(path)
        teacher = reopen_teacher(store.plan.teacher, device=device, weights=options.weights, head=options.head)
        build_parts(store, source, teacher, todo, workers, _ProgressToParent(messages, parent))
        messages.put(("done", None))
    except KDError as error:
        messages.put(("failed", error))
