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
from kdcache.store.places.local import LocalPlace

HOLD = """
    import sys, os, time
    from pathlib import Path
    from kdcache.store.locks import build_lock
    from kdcache.store.places.local import LocalPlace
    share = tuple(map(int, sys.argv[2:4])) or None
    with build_lock(LocalPlace(Path(sys.argv[1])), share):
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
            with pytest.raises(Locked) as caught, build_lock(LocalPlace(tmp_path), share):
                pass
            assert f"process {process.pid} on {socket.gethostname()}" in str(caught.value)
            assert str(tmp_path) in str(caught.value)
            assert caught.value.exit_code == 7
    with build_lock(LocalPlace(tmp_path)):
        pass


def test_different_shares_build_side_by_side_the_same_share_does_not(tmp_path):
    with holder(tmp_path, 1, 3) as process:
        with build_lock(LocalPlace(tmp_path), (2, 3)):
            pass
        with pytest.raises(Locked, match=str(process.pid)), build_lock(LocalPlace(tmp_path), (1, 3)):
            pass
        with pytest.raises(Locked, match=rf"{process.pid} on .*share-1-of-3"), build_lock(LocalPlace(tmp_path)):
            pass


@pytest.mark.parametrize("share", [(1, 4), (3, 4), (1, 1), (2, 3), (3, 6)])
def test_a_share_that_has_parts_in_common_with_one_being_built_is_refused(tmp_path, share):
    with holder(tmp_path, 1, 2) as process:
        message = rf"share {share[0]}/{share[1]} .* share 1/2, .*{process.pid}"
        with pytest.raises(Locked, match=message) as caught, build_lock(LocalPlace(tmp_path), share):
            pass
        assert caught.value.exit_code == 7
        parts = range(24)
        assert set(parts[0::2]) & set(parts[share[0] - 1 :: share[1]])
    with build_lock(LocalPlace(tmp_path), share):
        pass


@pytest.mark.parametrize("share", [(2, 2), (2, 4), (4, 6)])
def test_shares_of_different_numbers_without_a_common_part_build_side_by_side(tmp_path, share):
    assert not set(range(24)[0::2]) & set(range(24)[share[0] - 1 :: share[1]])
    with holder(tmp_path, 1, 2), build_lock(LocalPlace(tmp_path), share):
        pass


def test_a_killed_builder_leaves_no_lock(tmp_path):
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with build_lock(LocalPlace(tmp_path)):
            pass


def test_a_worker_that_outlives_its_builder_keeps_no_lock(tmp_path):
    args = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path), "1", "2", "fork"]
    process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    printed = sorted([process.stdout.readline(), process.stdout.readline()])
    worker = int(printed[0].split()[1])
    try:
        process.kill()
        process.wait()
        os.kill(worker, 0)
        with build_lock(LocalPlace(tmp_path)):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()
