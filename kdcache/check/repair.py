"""Remove damaged parts, so that a build makes them again. Nothing else is removed, and nothing at all without `apply`."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage, Mismatch
from kdcache.store import Finding, Place, Store
from kdcache.store.frame import PLAN
from kdcache.store.plan import PartId


@dataclass(frozen=True)
class Repair:
    """The result of a repair: what was found and what was done."""

    place: Place
    parts: tuple[PartId, ...]
    """Damaged parts."""
    rows: int
    applied: bool
    missing: int
    """Number of parts to build, including those that were dropped."""
    others: tuple[Finding, ...]
    """Damage outside of parts; with `apply`, what a build or a person still has to repair."""
    warnings: tuple[Finding, ...]
    """Files that do not belong to the cache; they are not touched."""

    @property
    def path(self) -> Path:
        """The folder of the cache; UsageError if it does not lie in a folder of this machine."""
        return self.place.folder


def repair(where: Path | Place, *, apply: bool, progress: Progress) -> Repair:
    """Find damaged parts and, with `apply`, drop them: the receipt first, so that a half-dropped part does not count as built.

    With `apply` the cache stays locked from the search to the last removal, so that no build changes it in between.
    """
    store = Store.open(where)
    with store.building() if apply else nullcontext():
        report = verify(store.place, VerifyOptions(), progress)
        foreign = [found for found in report.findings if found.kind == "foreign"]
        if foreign and not any(_fits(store, part) for part in store.with_receipt()):
            path = store.place.at(PLAN)
            message = f"{path} looks foreign: no receipt belongs to its plan. Nothing was dropped"
            raise Mismatch(message, hint="copy plan.json from another copy of this cache", path=path)
        damaged = sorted({f.part for f in report.findings if f.part is not None and f.kind == "damage"})
        others = [found for found in report.findings if found.part is None]
        if apply:
            for part in damaged:
                store.drop_part(part)
            store.restore_frame()
            others = [found for found in store.verify_frame() if found.kind != "stray"]
    return Repair(
        store.place,
        tuple(damaged),
        sum(len(store.plan.rows_of(part)) for part in damaged),
        applied=apply,
        missing=len(store.missing()),
        others=(*others, *foreign),
        warnings=tuple(report.warnings),
    )


def _fits(store: Store, part: PartId) -> bool:
    """Whether a part has a receipt that belongs to this plan."""
    try:
        return store.receipt(part) is not None
    except (Damage, Mismatch):
        return False
