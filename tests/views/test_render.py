"""The render pool: same pixels in any number of processes, bounded work ahead, and no way to hang."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kdcache.base.digest import pixel_digest
from kdcache.errors import KDError, Unavailable
from kdcache.images import load
from kdcache.render import Rendered, RenderPool
from kdcache.views import DriftedRow, mix_of, view_pixels
from kdcache.views.recipe import Augment, Plain
from tests.views.sources import Painted

IDS = [f"image-{n}" for n in range(50)]
IDS[7], IDS[30] = "bad-7", "bad-30"
REQUESTS = [(0, range(0, 16)), (0, range(16, 32)), (3, range(20, 50, 2)), (1, range(48, 50))]
SOURCE = Painted()


def pool(
    recipe: Augment | Plain, ids: list[str] = IDS, *, workers: int = 2, batch: int = 16, ahead: int = 2
) -> RenderPool:
    source = Painted(parent=os.getpid())
    return RenderPool(source, recipe, seed=9, size=(40, 32), ids=ids, workers=workers, batch=batch, ahead=ahead)


def kept(batches: Iterator[Rendered]) -> list[tuple[int, tuple[int, ...], bytes, list[int], dict[int, str]]]:
    return [(r.view, r.rows, r.pixels.tobytes(), r.digests.tolist(), r.bad) for r in batches]


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def partner_of(recipe: Augment, view: int, row: int) -> int | None:
    mixed = mix_of(recipe, seed=9, image_id=IDS[row], view=view, row=row, rows=len(IDS))
    return mixed[0] if mixed else None


@pytest.mark.parametrize("workers", [0, 2])
def test_pixels_are_those_of_view_pixels(everything: Augment, workers: int) -> None:
    with pool(everything, workers=workers) as renderers:
        for (view, rows), rendered in zip(REQUESTS, renderers.batches(REQUESTS), strict=True):
            assert (rendered.view, rendered.rows) == (view, tuple(rows))
            assert rendered.pixels.shape == (16, 40, 32, 3)
            assert not rendered.pixels[len(rows) :].any()
            partners = {row: partner_of(everything, view, row) for row in rows}
            assert set(rendered.bad) == {row for row in rows if {row, partners[row]} & {7, 30}}
            for place, row in enumerate(rows):
                if row in rendered.bad:
                    broken = IDS[row] if row in (7, 30) else IDS[partners[row] or 0]
                    partner = "" if row in (7, 30) else f"its partner {broken} cannot be used: "
                    assert rendered.bad[row] == f"{partner}{broken} is broken"
                    assert not rendered.pixels[place].any()
                    assert rendered.digests[place] == 0
                    continue
                pixels = view_pixels(
                    everything, seed=9, view=view, row=row, size=(40, 32), ids=IDS, load=lambda i: load(SOURCE, i)
                )
                assert np.array_equal(rendered.pixels[place], pixels)
                assert rendered.digests[place] == pixel_digest(pixels)


def test_any_number_of_workers_gives_the_same(everything: Augment) -> None:
    results = []
    for workers in (0, 1, 3):
        with pool(everything, workers=workers) as renderers:
            results.append(kept(renderers.batches(REQUESTS)))
    assert results[0] == results[1] == results[2]


def test_requests_are_read_no_further_than_ahead() -> None:
    read: list[int] = []

    def requests() -> Iterator[tuple[int, range]]:
        for view in range(8):
            read.append(view)
            yield view, range(0, 4)

    with pool(Plain(fit="squash"), batch=4, ahead=3) as renderers:
        for given, _ in enumerate(renderers.batches(requests()), start=1):
            assert len(read) <= given + 3
        assert read == list(range(8))


def test_a_batch_stays_as_it_is_while_others_are_rendered(everything: Augment) -> None:
    with pool(everything, batch=8, ahead=3) as renderers:
        for rendered in renderers.batches([(view, range(8, 16)) for view in range(6)]):
            before = rendered.pixels.copy()
            time.sleep(0.1)  # the others of the ring fill up meanwhile
            assert np.array_equal(rendered.pixels, before)


def test_iterating_can_stop_and_begin_anew(everything: Augment) -> None:
    with pool(everything) as renderers:
        for _ in renderers.batches([(view, range(16)) for view in range(9)]):
            break
        again = kept(renderers.batches(REQUESTS))
    with pool(everything, workers=0) as renderers:
        assert again == kept(renderers.batches(REQUESTS))


def test_what_nobody_wants_any_more_is_not_rendered() -> None:
    ids = [f"slow-{n}" for n in range(32)]
    with pool(Plain(fit="crop"), ids, batch=32, workers=1, ahead=3) as renderers:
        next(renderers.batches([(view, range(32)) for view in range(9)]))
        start = time.monotonic()
        list(renderers.batches([(0, [0])]))
        assert time.monotonic() - start < 0.02 * 32 * 3 * 0.6


def test_no_requests_no_batches() -> None:
    with pool(Plain(fit="crop")) as renderers:
        assert list(renderers.batches([])) == []


def test_all_workers_share_a_batch() -> None:
    ids = [f"slow-{n}" for n in range(32)]
    with pool(Plain(fit="crop"), ids, batch=32, workers=4) as renderers:
        list(renderers.batches([(0, range(8))]))  # workers are up
        start = time.monotonic()
        list(renderers.batches([(0, range(32))]))
        assert time.monotonic() - start < 0.02 * 32 * 0.75


def test_a_killed_worker_is_an_error_not_a_hang() -> None:
    with pool(Plain(fit="crop"), ["image-1", "kill-2", "image-3"]) as renderers:
        with pytest.raises(KDError, match=r"render worker \(process \d+\) was killed by SIGKILL") as failure:
            list(renderers.batches([(0, [0, 1, 2])] * 3))
        assert "memory" in str(failure.value.hint)
        with pytest.raises(KDError, match="SIGKILL"):
            list(renderers.batches([(0, [0])]))


def test_a_worker_killed_from_outside_is_an_error() -> None:
    ids = [f"slow-{n}" for n in range(32)]
    with pool(Plain(fit="crop"), ids, batch=32) as renderers:
        batches = renderers.batches([(view, range(32)) for view in range(50)])
        next(batches)
        os.kill(renderers.pids[0], signal.SIGKILL)
        with pytest.raises(KDError, match="SIGKILL"):
            list(batches)


def test_a_worker_that_exits_is_named_with_its_code() -> None:
    with pool(Plain(fit="crop"), ["exit-1"]) as renderers, pytest.raises(KDError, match="exit code 3"):
        list(renderers.batches([(0, [0])]))


def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(KDError, match="ended with exit code 1"), pool(Plain(fit="crop")) as renderers:
        list(renderers.batches([(0, [0])]))


def test_a_long_plain_list_of_ids_reaches_the_workers() -> None:
    ids = [f"image-{n}" for n in range(100_000)]
    with pool(Plain(fit="crop"), ids) as renderers:
        (rendered,) = renderers.batches([(0, [99_999])])
    assert rendered.bad == {}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_vanished_source_is_an_error_not_a_bad_image(workers: int) -> None:
    with pool(Plain(fit="crop"), ["image-1", "gone-2"], workers=workers) as renderers:
        with pytest.raises(Unavailable, match="gone-2 cannot be reached") as failure:
            list(renderers.batches([(0, [0, 1])]))
        assert failure.value.hint == "Plug the disk in."


def test_a_bug_in_a_worker_shows_its_traceback() -> None:
    with pool(Plain(fit="crop"), ["bug-1"]) as renderers, pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(renderers.batches([(0, [0])]))


def test_workers_never_import_torch() -> None:
    with pool(Plain(fit="crop"), ["modules-0"]) as renderers:
        (rendered,) = renderers.batches([(0, [0])])
    modules = rendered.bad[0].split()
    assert "kdcache" in modules
    assert not {"torch", "timm", "transformers", "h5py", "zarr"} & set(modules)


def test_leaving_ends_the_workers() -> None:
    with pool(Plain(fit="crop"), workers=3) as renderers:
        pids = renderers.pids
        assert len(pids) == 3
        assert os.getpgrp() not in map(os.getpgid, pids)  # Ctrl-C in a terminal goes to the parent's group
        assert all(map(alive, pids))
    assert not any(map(alive, pids))


CHILD = """
import os, sys, time
from kdcache.render import RenderPool
from kdcache.views.recipe import Plain
from tests.views.sources import Painted
ids = [f"slow-{n}" for n in range(20)] + [f"{sys.argv[1]}-{n}" for n in range(1000)]
with RenderPool(Painted(), Plain(fit="crop"), seed=0, size=(32, 32), ids=ids, workers=2, batch=20) as pool:
    batches = pool.batches([(view, range(view * 20, view * 20 + 20)) for view in range(50)])
    next(batches)
    print(*pool.pids, flush=True)
    try:
        for _ in batches: pass
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def child(folder: Path, kind: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A script without a main guard that renders images of a kind in two workers, and the pids of these."""
    path, script = os.pathsep.join(sys.path), folder / "script.py"
    script.write_text(CHILD)
    process = subprocess.Popen(
        [sys.executable, script, kind], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


@pytest.mark.parametrize("kind", ["slow", "stuck"])
def test_workers_leave_when_the_parent_is_killed(tmp_path: Path, kind: str) -> None:
    process, pids = child(tmp_path, kind)
    try:
        assert all(map(alive, pids))
        process.kill()
        assert wait_until(lambda: not any(map(alive, pids)), seconds=2.0)
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_is_the_parents_decision(tmp_path: Path) -> None:
    process, pids = child(tmp_path, "slow")
    try:
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        time.sleep(0.3)
        assert all(map(alive, pids))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)
        assert out == "interrupted\n"
        assert not any(map(alive, pids))
    finally:
        process.kill()
        process.communicate()


def test_replay_in_parallel_names_the_drifted_rows(everything: Augment) -> None:
    rows = list(range(0, 50, 3))
    with pool(everything, workers=0) as renderers:
        expected = [int(d) for r in renderers.batches([(2, rows[:16]), (2, rows[16:])]) for d in r.digests]
    with pool(everything) as renderers:
        assert renderers.replay(2, rows, expected) == []
        assert renderers.replay(2, rows, [*expected[:-1], 5]) == [DriftedRow(48, 5, expected[-1])]
