"""The worker processes of a render pool: start them, give them tasks, notice when one dies.

They are plain subprocesses instead of multiprocessing's: so a worker imports only what it needs for rendering and not the
caller's main module, which may be heavy or unguarded; and there is no shared lock that a killed worker could hold.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import Connection, Pipe, wait

from kdcache.base.children import out_of_reach
from kdcache.errors import KDError
from kdcache.render.ring import Ring
from kdcache.render.worker import Done, Failed, RenderTask, Setup

QUEUED = 2
"""Tasks given to a worker: the current one and the next, so that it never waits for the parent."""
_START = "from kdcache.render.worker import main; main()"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Crew:
    """Worker processes and the thread that hands them tasks."""

    def __init__(self, count: int, ring: Ring, setup: Setup) -> None:
        self._workers: dict[Connection, subprocess.Popen[bytes]] = {}
        self._held: dict[Connection, int] = {}
        self._tasks: deque[RenderTask] = deque()
        self._unanswered = 0
        self._answers: queue.SimpleQueue[Done | Failed] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = False
        self._dead: Failed | None = None
        self._feeder = threading.Thread(target=self._feed_on_answers, name="kdcache-render", daemon=True)
        try:
            for _ in range(count):
                self._start_worker(ring)
            for connection in self._workers:  # in a second loop, so that the processes start in parallel
                self._introduce(connection, setup)
        except BaseException:
            self._stop_workers()
            raise
        self._feeder.start()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._workers.values()]

    def submit(self, tasks: Iterable[RenderTask]) -> None:
        """Append tasks to the queue; never blocks."""
        with self._lock:
            self._tasks.extend(tasks)
            self._feed()

    def take(self) -> Done:
        """Wait for the next finished task, in any order. Raises the error of a worker that failed."""
        if self._dead is not None:
            raise _raisable(self._dead)
        answer = self._next_answer()
        if isinstance(answer, Done):
            return answer
        raise _raisable(answer)

    def settle(self) -> None:
        """Drop waiting tasks and wait for running ones, so that no process writes into the ring afterwards."""
        with self._lock:
            self._tasks.clear()
        while self._unanswered > 0 and self._dead is None:
            self._next_answer()

    def close(self) -> None:
        """End all workers at once; their running tasks are dropped."""
        self._closing = True
        self._stop_workers()
        self._feeder.join()
        for connection in self._workers:
            connection.close()

    def _next_answer(self) -> Done | Failed:
        answer = self._answers.get()
        with self._lock:
            self._unanswered -= 1
        return answer

    def _start_worker(self, ring: Ring) -> None:
        ours, theirs = Pipe()
        descriptors = (theirs.fileno(), ring.descriptor)
        arguments = [str(n) for n in (*descriptors, os.getpid())]
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with out_of_reach():
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=2,  # stdout belongs to the caller, which may print JSON there
                pass_fds=descriptors,
                process_group=0,  # so that signals to the parent's group (Ctrl-C) reach only the parent
                env=os.environ | _ONE_THREAD | {"PYTHONPATH": path},
            )
        theirs.close()
        self._workers[ours], self._held[ours] = process, 0

    def _introduce(self, connection: Connection, setup: Setup) -> None:
        try:
            connection.send(setup)
        except OSError:
            raise _obituary(self._workers[connection]) from None

    def _stop_workers(self) -> None:
        for process in self._workers.values():
            process.kill()
        for process in self._workers.values():
            process.wait()

    def _feed(self) -> None:
        """Give waiting tasks to the workers with the fewest tasks. The caller holds the lock."""
        while self._tasks:
            connection = min(self._held, key=self._held.__getitem__)
            if self._held[connection] == QUEUED:
                return
            try:
                connection.send(self._tasks.popleft())
            except OSError:  # it has just died: the feeder thread notices that too, and reports it
                return
            self._held[connection] += 1
            self._unanswered += 1

    def _feed_on_answers(self) -> None:
        while not self._closing:
            for connection in wait(list(self._workers)):
                assert isinstance(connection, Connection)
                try:
                    answer: Done | Failed = connection.recv()
                except (EOFError, OSError):
                    if not self._closing:
                        self._dead = Failed(_obituary(self._workers[connection]))
                        self._answers.put(self._dead)
                    return
                with self._lock:
                    self._held[connection] -= 1
                    self._feed()
                self._answers.put(answer)


def _obituary(process: subprocess.Popen[bytes]) -> KDError:
    code = process.wait()
    if code >= 0:
        how, hint = f"ended with exit code {code}", "Its output on stderr shows why."
    else:
        how = f"was killed by {signal.Signals(-code).name}"
        hint = "If the machine ran out of memory: use fewer workers or a smaller batch."
    return KDError(f"A render worker (process {process.pid}) {how}.", hint=hint)


def _raisable(failed: Failed) -> Exception:
    if isinstance(failed.error, KDError):
        return failed.error
    return RuntimeError(f"A render worker failed:\n{failed.error}")
