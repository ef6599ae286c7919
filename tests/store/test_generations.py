"""The index keeps room for rows that are added later: reserved, read within bounds, and nothing of today's files changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kdcache.base import limits
from kdcache.errors import Damage, Mismatch
from kdcache.images.source import Listing
from kdcache.store import Index, Store
from kdcache.store.bounds import unfit
from kdcache.store.index import _table, write_index
from kdcache.store.places.local import LocalPlace
from kdcache.store.plan import Plan
from tests.store.making import make_cache, make_plan

IDS = [f"x/{number}" for number in range(50)]
ENDS = (20, 21, 50)


def written(path: Path, ends: tuple[int, ...] = ENDS, *, shift: bool = True) -> Path:
    """An index in generations; without `shift`, each leads to rows of the first."""
    tables = []
    for first, last in zip((0, *ends), ends, strict=False):
        table = _table(
            Listing(pa.array(IDS[first:last], pa.large_string()), np.arange(first, last, dtype=np.int32), None, "f")
        )
        rows = np.array(table.column(3)) + np.uint32(first if shift else 0)
        tables.append(table.set_column(3, "hash_row", pa.array(rows, pa.uint32())))
    whole = pa.Table.from_batches(tables).combine_chunks().to_batches()[0]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_batch(whole)
    return path


def _opened(path: Path, **expected: Any) -> Index:
    return Index.open(LocalPlace(path.parent), path.name, **expected)


def planned(generations: tuple[int, ...], rows: int = 90) -> Plan:
    plan = make_plan(rows=rows)
    return plan.model_copy(update={"dataset": plan.dataset.model_copy(update={"generations": generations})})


def test_rows_of_every_generation_are_found(tmp_path: Path) -> None:
    index = _opened(written(tmp_path / "i"), rows=50, generations=ENDS)
    assert [index.row_of(image_id) for image_id in IDS] == list(range(50))
    assert index.find("x/50") is None
    assert index.labels is not None
    assert index.labels.tolist() == list(range(50))
    one = _opened(written(tmp_path / "j"), rows=50)
    assert any(one.find(image_id) is None for image_id in IDS), "a reader that does not know of generations misses rows"


def test_a_generation_that_leads_to_rows_of_another_is_damage(tmp_path: Path) -> None:
    with pytest.raises(Damage, match="generation 1 has rows 20 to 20, but refers to other rows"):
        _opened(written(tmp_path / "i", shift=False), rows=50, generations=ENDS)


@pytest.mark.parametrize(
    ("generations", "message"),
    [
        ((30, 89), "dataset.generations is 30, 89: these must grow and end with dataset.rows, 90"),
        ((30, 30, 90), "dataset.generations is 30, 30, 90"),
        ((0, 90), "dataset.generations is 0, 90"),
        ((-5, 90), "dataset.generations is -5, 90"),
        ((91, 90), "dataset.generations is 91, 90"),
        ((10**40, 90), "dataset.generations is numbers of many digits"),
        (tuple(range(1, limits.GENERATIONS + 2)), "dataset.generations has 1,001 entries, at most 1,000 are read"),
    ],
    ids=str,
)
def test_generations_that_do_not_add_up_are_refused(generations: tuple[int, ...], message: str) -> None:
    assert (unfit(planned(generations)) or "").startswith(message)


def test_generations_that_add_up_are_let_through() -> None:
    assert unfit(planned((30, 90))) is None


def test_a_plan_without_them_is_written_and_identified_as_ever() -> None:
    plan = make_plan()
    assert "generations" not in plan.plain()["dataset"]
    assert "generations" not in plan.essence()["dataset"]
    assert planned(()).identity == plan.identity
    assert planned((30, 90)).identity != plan.identity
    assert Plan.from_plain(planned((30, 90)).plain()).dataset.generations == (30, 90)


def test_a_cache_whose_generations_do_not_add_up_is_not_opened(tmp_path: Path) -> None:
    from kdcache.store.self_checked import seal

    store = make_cache(tmp_path / "c", make_plan()).store
    plan = planned((30, 80))
    (store.path / "plan.json").write_bytes(seal({"identity": plan.identity} | plan.plain(), indent=2))
    with pytest.raises(Mismatch, match=r"these must grow and end with dataset\.rows, 90"):
        Store.open(store.path)


def test_a_cache_in_generations_is_read_by_id(tmp_path: Path) -> None:
    """What a later release would leave: plan and index say so, everything else is as it was."""
    from kdcache import Cache
    from kdcache.base.digest import file_digest
    from kdcache.store.frame import replace_plan

    listing = Listing(pa.array(IDS, pa.large_string()), np.arange(50, dtype=np.int32) % 5, tuple("abcde"), "f")
    plan = make_plan(rows=50, listing=listing, views=1)
    path = tmp_path / "c"
    path.mkdir()
    written(path / "index.arrow")
    data = {"generations": ENDS, "index_digest": file_digest(path / "index.arrow"), "classes": None}
    replace_plan(LocalPlace(path), plan.model_copy(update={"dataset": plan.dataset.model_copy(update=data)}))
    cache = Cache.open(path)
    assert all(image_id in cache for image_id in IDS)
    assert "x/50" not in cache


def test_an_index_written_today_is_one_generation(tmp_path: Path) -> None:
    listing = Listing(pa.array(IDS, pa.large_string()), None, None, "f")
    with (tmp_path / "i").open("wb") as file:
        write_index(listing, file.write)
    assert (tmp_path / "i").stat().st_size > 0
    assert _opened(tmp_path / "i", rows=50).generations == ()
