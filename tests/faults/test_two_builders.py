"""Builders with shares of their own work side by side, and together they build everything once."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kdcache.store import Store
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
