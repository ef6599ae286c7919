"""Every target there is: what is done, and what is driven afterwards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import caches, drive, drive_runs, kinds, misbehave, runs, tables
from tests.fuzz.case import Case

CHANGES: dict[str, Any] = {
    **caches.TARGETS,
    "kinds": (kinds.kind_cases, kinds.change_kind),
    "index": (tables.index_cases, tables.change_index),
    "bomb": (tables.bomb_cases, tables.change_block),
}
STRATEGIES: dict[str, Callable[[], st.SearchStrategy[Case]]] = {name: pair[0] for name, pair in CHANGES.items()}
STRATEGIES |= runs.STRATEGIES
Change = Callable[[Case, Path], Any]


def _cache_change(how: Any) -> Change:
    return lambda case, box: how(case, box / "in/cache", box)


def _cache_drive(box: Path, case: Case, loose: Any) -> Any:
    here = drive.Box(box, case.golden, loose)
    return lambda begin: drive.driven(here, drive.chosen(case.line), begin)


TARGETS: dict[str, Change] = {name: _cache_change(pair[1]) for name, pair in CHANGES.items()} | {
    "misbehave": lambda case, box: None
}
OPERATIONS: dict[str, Any] = dict.fromkeys(CHANGES, _cache_drive) | {"misbehave": misbehave.misbehaving}
TARGETS |= dict.fromkeys(runs.CHANGES, runs.change)
OPERATIONS |= dict.fromkeys(runs.CHANGES, drive_runs.driven)
