"""kill -9 at every step of every write: what is read afterwards is old or new, never part, and a rerun finishes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kdcache.errors import UsageError
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.store.making import make_cache, make_listing, make_plan, payload_of

pytestmark = pytest.mark.slow

WRITER = Path(__file__).with_name("killed_writer.py")
PART, OTHER = PartId(0, 1), PartId(1, 1)
BUILT_OVER = "rewrite"


def killed_at_every_step(action: str, start: Path, out: Path) -> list[tuple[str, Path]]:
    """(name of the step before which the writer was killed, the cache it left behind) for every step of a action."""
    args = [sys.executable, str(WRITER), action, str(start), str(out)]
    run = subprocess.run(args, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    steps = [line.split(" ", 1) for line in run.stdout.splitlines()]
    assert len(steps) >= 3
    named = {name.split()[-1] for _, name in steps if name.startswith(("replace", "link"))}
    assert changed(start, out / steps[-1][0]) <= named
    return [(name, out / number) for number, name in steps]


def changed(before: Path, after: Path) -> set[str]:
    """Names of the files that are new or different: none may have come about but by a rename or a second name."""
    files = [p for p in after.rglob("*") if p.is_file() and p.parent.name != "locks"]
    old = {p: before / p.relative_to(after) for p in files}
    return {p.name for p in files if not old[p].exists() or old[p].read_bytes() != p.read_bytes()}


@pytest.fixture(params=["hdf5", "zarr"])
def begun(request, tmp_path) -> Store:
    """A cache with every part but one."""
    made = make_cache(tmp_path / "begun", make_plan(backend=request.param, rows=48, views=2))
    made.store.drop_part(PART)
    return made.store


def same_as(store: Store, part: PartId, source: PartId) -> bool:
    payload = payload_of(store.plan, source)
    for row in store.bad_rows_of(part):
        for name, field in store.fields.items():
            if not field.per_part:
                payload[name][row - store.plan.rows_of(part).start] = 0
    return all((store.map_part(part)[name].whole() == values).all() for name, values in payload.items())


def sound(store: Store) -> None:
    """Everything that claims to be there is whole."""
    for part in store.plan.parts():
        assert store.verify_part(part) == []
    assert store.verify_frame() == []


def test_a_new_part_is_there_or_not(begun, tmp_path):
    seen = set()
    for step, left in killed_at_every_step("write", begun.path, tmp_path):
        store = Store.open(left)
        sound(store)
        seen.add(PART in store.missing())
        if PART not in store.missing():
            assert same_as(store, PART, PART), step
        with store.building():
            store.write_part(PART, payload_of(store.plan, PART), {})
        again = Store.open(left)
        assert again.missing() == [], step
        assert same_as(again, PART, PART), step
        sound(again)
        assert not [p for p in left.rglob("*") if ".tmp-" in p.name], step
    assert seen == {True, False}


def test_a_part_built_again_is_the_old_one_the_new_one_or_none(begun, tmp_path):
    seen = set()
    for step, left in killed_at_every_step("rewrite", begun.path, tmp_path):
        store = Store.open(left)
        sound(store)
        state = "none" if OTHER in store.missing() else "old" if same_as(store, OTHER, OTHER) else "new"
        assert state != "new" or same_as(store, OTHER, PART), step
        seen.add(state)
    assert seen == {"none", "old", "new"}


def test_a_dropped_part_is_there_or_not(begun, tmp_path):
    for step, left in killed_at_every_step("drop", begun.path, tmp_path):
        store = Store.open(left)
        sound(store)
        assert OTHER in store.missing() or same_as(store, OTHER, OTHER), step


def test_a_cache_that_was_being_created_is_created_by_the_rerun(begun, tmp_path):
    started = set()
    for step, left in killed_at_every_step("create", begun.path, tmp_path):
        started.add((left / "plan.json").exists())
        if not (left / "plan.json").exists():
            with pytest.raises(UsageError, match="not a cache"):
                Store.open(left)
        store = Store.create(left, begun.plan, make_listing(48))
        assert len(store.missing()) == len(store.plan.parts())
        with store.building():
            store.write_part(PART, payload_of(store.plan, PART), {})
        sound(Store.open(left))
        assert list(Store.open(left).index.ids) == make_listing(48).ids.to_pylist(), step
    assert started == {True, False}


def test_added_views_are_planned_or_not(begun, tmp_path):
    counts = {Store.open(left).plan.views.count for _, left in killed_at_every_step("views", begun.path, tmp_path)}
    assert counts == {2, 5}


def test_the_steps_are_those_of_a_real_write(begun, tmp_path):
    """The harness sees the calls that matter, in the order that matters."""
    names = [name for name, _ in killed_at_every_step("write", begun.path, tmp_path)]
    calls = [name.split()[0] for name in names]
    receipt = [i for i, name in enumerate(names) if name.startswith("replace") and name.endswith("000001.json")]
    assert len(receipt) == 1
    payload = [i for i, name in enumerate(names) if name.startswith("replace") and not name.endswith(".json")]
    assert payload
    assert max(payload) < receipt[0]
    assert "fsync" in calls[max(payload) : receipt[0]]
    shutil.rmtree(tmp_path)
