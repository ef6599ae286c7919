"""Builders with shares of their own work side by side; of two that start at once with different plans, one is refused."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kdcache.errors import Mismatch
from kdcache.store import Store
from kdcache.store.index import write_index
from tests.store.making import make_listing, make_plan, payload_of

SHARE = """
    import sys
    from pathlib import Path
    from kdcache.errors import Locked
    from kdcache.store import Store
    from tests.store.making import payload_of
    store, share = Store.open(Path(sys.argv[1])), int(sys.argv[2])
    with store.building((share, 3)):
        for part in store.plan.parts()[share - 1 :: 3]:
            store.write_part(part, payload_of(store.plan, part), {})
        print("built", flush=True)
        sys.stdin.read()
"""


AT_ONCE = """
    import sys
    from pathlib import Path
    from kdcache.errors import KDError
    from kdcache.store import Store
    from tests.store.making import make_listing, make_plan, payload_of
    path, plan = Path(sys.argv[1]), make_plan(seed=int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        store = Store.create(path, plan, make_listing())
        with store.building():
            part = plan.parts()[0]
            store.write_part(part, payload_of(plan, part), {})
            print(plan.views.seed, store.plan.views.seed, flush=True)
            sys.stdin.readline()
    except KDError as error:
        print("refused", error.exit_code, flush=True)
"""


def test_of_two_plans_started_at_once_one_wins_and_the_other_changes_nothing(tmp_path):
    args, pipe = [sys.executable, "-c", textwrap.dedent(AT_ONCE), str(tmp_path / "c")], subprocess.PIPE
    both = [subprocess.Popen([*args, seed], stdin=pipe, stdout=pipe, text=True) for seed in "12"]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.stdout.readline().split() for process in both]
    for process in both:
        process.communicate("\n", timeout=60)
    [winner] = [words for words in printed if words[0] != "refused"]
    assert ["refused", "6"] in printed
    assert winner[0] == winner[1]
    store = Store.open(tmp_path / "c")
    assert str(store.plan.views.seed) == winner[0]
    assert store.receipt(store.plan.parts()[0]) is not None


def test_a_plan_that_appears_while_the_index_is_written_is_never_replaced(tmp_path, monkeypatch):
    """The same race, made certain: the other one comes first at the last moment."""
    other, write = make_plan(seed=2), write_index

    def write_late(listing, sink):
        write(listing, sink)
        monkeypatch.setattr("kdcache.store.store.write_index", write)
        Store.create(tmp_path / "c", other, make_listing())

    monkeypatch.setattr("kdcache.store.store.write_index", write_late)
    with pytest.raises(Mismatch, match=r"views\.seed is 2 there, 1 here"):
        Store.create(tmp_path / "c", make_plan(seed=1), make_listing())
    assert Store.open(tmp_path / "c").plan == other


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_three_shares_at_once_make_one_cache(tmp_path, backend):
    plan = make_plan(backend=backend)
    store = Store.create(tmp_path / "c", plan, make_listing())
    args = [sys.executable, "-c", textwrap.dedent(SHARE), str(tmp_path / "c")]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen([*args, str(n)], stdin=pipe, stdout=pipe, text=True) for n in (1, 2, 3)]
    for worker in workers:
        out, _ = worker.communicate("", timeout=60)
        assert worker.returncode == 0
        assert out == "built\n"
    store = Store.open(Path(tmp_path / "c"))
    assert store.missing() == []
    assert store.verify_frame() == []
    for part in store.plan.parts():
        assert store.verify_part(part) == []
        assert (store.map_part(part)["logits"].whole() == payload_of(plan, part)["logits"]).all()
