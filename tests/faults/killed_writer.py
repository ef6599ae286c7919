"""A writer that is killed before its first step, then before its second, and so on: run by test_kill.py.

One process loads everything and forks a child a step. A child counts its calls to the system; before the call whose turn it is
(or, for a write, after half of its bytes) it sends itself SIGKILL. The last line is the step after the end: nothing is killed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import h5py  # noqa: F401  (loaded once, not in every child)

from kdcache.store import Store
from tests.faults.test_kill import OTHER, PART
from tests.store.making import make_listing, payload_of

CALLS = ("open", "write", "fsync", "replace", "link", "unlink", "mkdir")


def act(action: str, path: Path, start: Path) -> None:
    """What is interrupted."""
    if action == "create":
        Store.create(path, Store.open(start).plan, make_listing(48))
        return
    store = Store.open(path)
    with store.building():
        if action == "write":
            store.write_part(PART, payload_of(store.plan, PART), {})
        elif action == "rewrite":
            store.write_part(OTHER, payload_of(store.plan, PART), {})
        elif action == "drop":
            store.drop_part(OTHER)
        elif action == "views":
            store.plan_views(5)
        else:
            raise AssertionError(action)


class Killer:
    """Kills this process at its n-th call."""

    def __init__(self, turn: int, tell: int) -> None:
        self.turn, self.tell, self.count = turn, tell, 0
        for name in CALLS:
            setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, real):
        def call(*args, **kwargs):
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            self.count += 1
            if self.count == self.turn:
                target = args[1] if name in ("replace", "link") else args[0]
                where = "" if isinstance(target, int) else " " + Path(target).name
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                WRITE(self.tell, f"{name}{where}".encode())
                os.kill(os.getpid(), signal.SIGKILL)
            # SIGKILL leaves the page cache alone, so nothing is lost by not waiting for the disk.
            return None if name == "fsync" else real(*args, **kwargs)

        return call


WRITE = os.write


def killed(action: str, path: Path, start: Path, turn: int) -> str | None:
    """Run a action in a child that is killed at its turn: the name of that step; None when it came to its end."""
    reading, tell = os.pipe()
    child = os.fork()
    if child == 0:
        Killer(turn, tell)
        act(action, path, start)
        os._exit(0)
    os.close(tell)
    name = os.read(reading, 500).decode()
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return name
    assert os.WEXITSTATUS(status) == 0
    return None


def main() -> None:
    """Every step in turn; one line each."""
    action, start, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    turn, name = 0, ""
    while name is not None:
        turn += 1
        path = out / str(turn)
        if action != "create":
            shutil.copytree(start, path)
        name = killed(action, path, start, turn)
        print(turn, name or "end", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
