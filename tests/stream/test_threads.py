"""One cache, read by several threads and by processes that are forked from them."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import numpy as np
import pytest

from kdcache import Cache
from kdcache.store import index
from tests.store.making import Made, make_cache, make_plan

VIEWS = 4
"""more than a cache keeps mapped, so that threads push out what others read"""


@pytest.fixture(scope="module")
def many_views(tmp_path_factory) -> Made:
    return make_cache(tmp_path_factory.mktemp("caches") / "views", make_plan(views=VIEWS))


def test_threads_that_read_different_views_get_what_one_thread_gets(many_views: Made) -> None:
    cache = Cache.open(many_views.store.path)
    wanted = [(view, cache.ids[row]) for row in (0, 7, 45, 89) for view in range(VIEWS)] * 40
    alone = Cache.open(many_views.store.path)
    expected = {key: alone.get(key[1], view=key[0])["embedding"] for key in set(wanted)}
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda key: cache.get(key[1], view=key[0])["embedding"], wanted))
    assert all(np.array_equal(array, expected[key]) for key, array in zip(wanted, found, strict=True))


def test_a_fork_while_another_thread_computes_does_not_hang_the_child(many_views: Made, monkeypatch) -> None:
    """The thread is inside the first use of the index, as a stream is at its start, when the process is forked."""
    inside, go_on = Event(), Event()
    opened = index.Index.open.__func__  # type: ignore[attr-defined]

    def slowly(cls: type, *args: object, **options: object) -> index.Index:
        if os.getpid() == parent:
            inside.set()
            go_on.wait(30)
        return opened(cls, *args, **options)

    parent = os.getpid()
    monkeypatch.setattr(index.Index, "open", classmethod(slowly))
    cache = Cache.open(many_views.store.path)
    thread = Thread(target=lambda: cache.ids)
    thread.start()
    assert inside.wait(30)
    try:
        assert in_child(lambda: cache.ids[5] in cache and cache[cache.ids[5]].row == 5)
    finally:
        go_on.set()
        thread.join()


def test_a_fork_while_another_thread_streams_can_stream_too(many_views: Made) -> None:
    cache = Cache.open(many_views.store.path)
    stop = Event()

    def stream() -> None:
        while not stop.is_set():
            for batch in cache.stream(7, views=[1]):
                batch.decode()

    thread = Thread(target=stream)
    thread.start()
    try:
        assert all(in_child(lambda: sum(len(batch) for batch in cache.stream(7)) > 80) for _ in range(5))
    finally:
        stop.set()
        thread.join()


def test_an_absent_id_is_told_without_a_search_for_near_ones(many_views: Made, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> list[str]:
        raise AssertionError("near names were searched")

    monkeypatch.setattr(index, "nearest", refuse)
    cache = Cache.open(many_views.store.path)
    assert "no/such/image.jpg" not in cache
    assert "\udcff.jpg" not in cache, "no id has a lone surrogate"
    assert 5 not in cache
    assert cache.ids[5] in cache


def in_child(work: Callable[[], bool], limit: float = 20.0) -> bool:
    """Whether the work is right in a forked process; False, too, when it does not end."""
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
