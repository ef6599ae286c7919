"""Merge parts of one cache that were built in several places."""

from collections.abc import Sequence
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.errors import Damage, Mismatch
from kdcache.reshape.convert import Reshaped
from kdcache.store import Place, Receipt, Store
from kdcache.store.differences import described, differences
from kdcache.store.plan import PartId


def merge(caches: Sequence[Path | Place], out: Path | Place, *, progress: Progress) -> Reshaped:
    """Copy parts of the same cache that were built in several places into `out`. Every byte is checked."""
    stores = [Store.open(each) for each in caches]
    first = stores[0]
    for other in stores[1:]:
        if other.plan.identity != first.plan.identity:
            differing = described(differences(first.plan.essence(), other.plan.essence()))
            message = f"{first.place} and {other.place} are different caches: {differing}"
            raise Mismatch(message, hint="only parts of one plan can be merged")
    views = max(store.plan.views.count for store in stores)
    plan = first.plan.model_copy(update={"views": first.plan.views.model_copy(update={"count": views})})
    new = Store.create_like(out, plan, first)
    with new.building():
        holders: dict[PartId, list[Store]] = {}
        for store in stores:
            for part in store.built():
                holders.setdefault(part, []).append(store)
        todo = sorted(holders.keys() - set(new.built(sizes=True)))
        progress.start("merge", sum(len(plan.rows_of(part)) for part in todo))
        for part in todo:
            receipt = _copied(new, part, holders[part], progress)
            progress.advance(len(plan.rows_of(part)), bytes=receipt.bytes)
        progress.finish()
        new.write_rejected()
    return Reshaped(new.place, len(todo), new.missing_count, new.bytes())


def _copied(new: Store, part: PartId, holders: Sequence[Store], progress: Progress) -> Receipt:
    """Copy a part from the first cache in which it is intact."""
    for store in holders[:-1]:
        try:
            return new.copy_part(part, store)
        except (Damage, Mismatch) as error:
            progress.note(f"skipped a damaged part, because another cache has it too: {error.message}")
    return new.copy_part(part, holders[-1])
