"""Choose the rows of a check, and render their views again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcache.base.dice import Dice
from kdcache.base.progress import Progress
from kdcache.build.view_pool import pool_of
from kdcache.images.source import Source
from kdcache.render import Rendered
from kdcache.store import Finding, Place, Store
from kdcache.store.plan import VIEW_DIGEST, PartId
from kdcache.views.replay import drifts


@dataclass(frozen=True)
class VerifyOptions:
    """What to check in addition to structure and checksums."""

    replay: int = 0
    """Number of views that are rendered again and compared with their digests."""
    teacher: int = 0
    """Number of views that the teacher is run on again."""
    tolerance: float | None = None
    data: str | None = None
    weights: str | None = None
    head: str | None = None
    device: str = "cpu"
    workers: int = 0
    seed: int = 0
    """Seed of the random choice of rows; another seed checks other rows."""
    untrusted: bool = False
    """Whether the cache may come from a stranger: all of it is checked against the plan before anything is mapped,
    and every block is decompressed.
    """


@dataclass
class VerifyReport:
    """The result of a verification: what was checked and what was found."""

    place: Place
    parts: int = 0
    missing: int = 0
    replayed: int = 0
    rerun: int = 0
    """Number of views the teacher was run on again."""
    distance: dict[str, float] = field(default_factory=dict)
    """Largest distance, by signal, between the stored values and those the teacher emits now."""
    tolerance: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    """Files that do not belong to the cache. They are never read or removed, and do not count as damage."""

    @property
    def path(self) -> Path:
        """The folder of the cache; UsageError if it does not lie in a folder of this machine."""
        return self.place.folder

    @property
    def ok(self) -> bool:
        """True if there are no findings. Missing parts are not damage, because a build makes them."""
        return not self.findings

    @property
    def damaged(self) -> bool:
        """Whether some bytes on disk are wrong; a repair and a build solve that."""
        return any(found.kind != "drift" for found in self.findings)

    @property
    def pixels_drifted(self) -> bool:
        """Whether some views render to other pixels than the teacher was shown."""
        return any(found.kind == "drift" and found.field == VIEW_DIGEST.name for found in self.findings)

    @property
    def teacher_drifted(self) -> bool:
        """Whether the teacher now emits other values for the same pixels."""
        return any(found.kind == "drift" and found.field != VIEW_DIGEST.name for found in self.findings)


def sample(store: Store, parts: list[PartId], count: int, seed: int) -> list[tuple[PartId, list[int]]]:
    """`count` random rows with a usable image from these parts (or all, if there are fewer), in the order of the parts."""
    good = [_good_rows(store, part) for part in parts]
    ends = np.cumsum([len(rows) for rows in good])
    places = _draw(int(ends[-1]), count, seed)
    which = np.searchsorted(ends, places, side="right")
    found = []
    for index in np.unique(which).tolist():
        start = ends[index] - len(good[index])
        found.append((parts[index], good[index][places[which == index] - start].tolist()))
    return found


def _good_rows(store: Store, part: PartId) -> NDArray[np.int64]:
    rows = store.plan.rows_of(part)
    return np.setdiff1d(np.arange(rows.start, rows.stop), list(store.bad_rows_of(part)))


def _draw(total: int, count: int, seed: int) -> NDArray[np.int64]:
    """`count` different random numbers below `total`, ascending."""
    if count >= total:
        return np.arange(total)
    order = np.argsort(Dice(seed, total, purpose=0x5A3B1E).words(total), kind="stable")
    return np.sort(order[:count])


def rendered_again(
    store: Store, source: Source, rows: list[tuple[PartId, list[int]]], workers: int
) -> Iterator[tuple[PartId, Rendered]]:
    """Render the sampled views again, in batches of the plan's size, each within one part."""
    plan = store.plan
    chunks = [(part, wanted[i : i + plan.batch]) for part, wanted in rows for i in range(0, len(wanted), plan.batch)]
    with pool_of(store, source, workers) as pool:
        for (part, _), batch in zip(chunks, pool.batches((p.view, r) for p, r in chunks), strict=True):
            yield part, batch


def stored_digests(store: Store, part: PartId, rows: Sequence[int]) -> NDArray[np.uint32]:
    """The stored digests of the pixels that the teacher was shown."""
    places = np.asarray(rows) - store.plan.rows_of(part).start
    return np.asarray(store.map_part(part)[VIEW_DIGEST.name].take(places), np.uint32)


def views_that_drift(
    store: Store, source: Source, rows: list[tuple[PartId, list[int]]], ask: VerifyOptions, progress: Progress
) -> Iterator[Finding]:
    """Render sampled views again; yields findings for those whose digests differ from the stored ones."""
    for part, batch in rendered_again(store, source, rows, ask.workers):
        yield from drifted(store, part, batch)
        progress.advance(len(batch.rows))


def drifted(store: Store, part: PartId, batch: Rendered) -> list[Finding]:
    """Findings for the views of a batch whose digests differ from the stored ones."""
    found = []
    for row, *_ in drifts(batch.rows, stored_digests(store, part, batch.rows), batch.digests):
        why = (
            f"cannot be used now: {batch.bad[row]}"
            if row in batch.bad
            else "renders to other pixels than the teacher was shown"
        )
        what = f"{store.index[row]} {why}"
        found.append(Finding(part, VIEW_DIGEST.name, range(row, row + 1), what, kind="drift"))
    return found
