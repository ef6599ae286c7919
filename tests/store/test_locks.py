"""Two builders never work on the same cache unless each has its share."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest

from kdcache.errors import Locked
from kdcache.store.locks import build_lock

HOLD = """
    import sys, os, time
    from pathlib import Path
    from kdcache.store.locks import build_lock
    share = tuple(map(int, sys.argv[2:4])) or None
    with build_lock(Path(sys.argv[1]), share):
        if "fork" in sys.argv and os.fork() == 0:
            os.write(1, f"child {os.getpid()}\\n".encode())
            time.sleep(60)
        os.write(1, b"held\\n")
        sys.stdin.read()
"""


@contextmanager
def holder(path, *share):
    args = [sys.executable, "-c", textwrap.dedent(HOLD), str(path), *map(str, share)]
    process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_second_builder_is_told_who_holds_the_cache(tmp_path):
    with holder(tmp_path) as process:
        for share in (None, (1, 2)):
            with pytest.raises(Locked) as caught, build_lock(tmp_path, share):
                pass
            assert f"process {process.pid} on {socket.gethostname()}" in str(caught.value)
            assert str(tmp_path) in str(caught.value)
            assert caught.value.exit_code == 7
    with build_lock(tmp_path):
        pass


def test_different_shares_build_side_by_side_the_same_share_does_not(tmp_path):
    with holder(tmp_path, 1, 3) as process:
        with build_lock(tmp_path, (2, 3)):
            pass
        with pytest.raises(Locked, match=str(process.pid)), build_lock(tmp_path, (1, 3)):
            pass
        with pytest.raises(Locked, match=rf"{process.pid} on .*share-1-of-3"), build_lock(tmp_path):
            pass


def test_a_killed_builder_leaves_no_lock(tmp_path):
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with build_lock(tmp_path):
            pass


def test_a_worker_that_outlives_its_builder_keeps_no_lock(tmp_path):
    args = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path), "1", "2", "fork"]
    process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = sorted([process.stdout.readline(), process.stdout.readline()])
    worker = int(said[0].split()[1])
    try:
        process.kill()
        process.wait()
        os.kill(worker, 0)
        with build_lock(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()
