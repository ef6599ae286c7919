"""Take away what is damaged, so that a build makes it again. Never more than that, and nothing unless asked to apply it."""

from dataclasses import dataclass
from pathlib import Path

from kdcache.progress import Progress
from kdcache.store import Store
from kdcache.store.plan import PartId
from kdcache.verify import Ask, verify


@dataclass(frozen=True)
class Repair:
    """What repair found and did."""

    path: Path
    parts: tuple[PartId, ...]
    """parts that are damaged"""
    rows: int
    applied: bool


def repair(path: Path, *, apply: bool, progress: Progress) -> Repair:
    """Find damaged parts and, with `apply`, drop them: the receipt first, so that a half-dropped part is no part."""
    report = verify(path, Ask(), progress)
    store = Store.open(path)
    damaged = sorted({finding.part for finding in report.findings if finding.part is not None})
    if apply:
        with store.building():
            for part in damaged:
                store.drop_part(part)
            store.restore_frame()
    return Repair(path, tuple(damaged), sum(len(store.plan.rows_of(part)) for part in damaged), applied=apply)
