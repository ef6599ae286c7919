"""The caches of a comparison: one that the teacher fills, and others converted from it, with another codec or fewer signals.

Input: build options. Output: size and build time of each. An interrupted build is resumed.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from kdcache.base.progress import Progress
from kdcache.build.options import BuildOptions
from kdcache.codecs import make_codec
from kdcache.store import Store
from kdcache.store.plan import Plan
from students.compare.arms import Arm
from students.compare.result.built import Built
from students.compare.result.sums import Spread

BASE = "base"
"""Name of the cache that the teacher fills; every other cache is named after its difference from this one."""
PARTS = 8
"""Number of parts each view of the base cache is cut into, so that the build time has a confidence interval."""
LEAST = 3
"""Smallest number of parts, without the first, from which an interval is computed; with few images there are fewer parts,
and no interval."""


@dataclass(frozen=True)
class Caches:
    """All caches of one comparison."""

    folder: Path
    of: dict[str, str]
    """Arm -> name of its cache."""
    built: dict[str, Built]
    """Cache name -> its size and build time."""
    store: Store
    """Store of the base cache."""

    @property
    def usable(self) -> int:
        """Number of readable images, in the view with the fewest."""
        plan = self.store.plan
        bad = [0] * plan.views.count
        for part in plan.parts():
            bad[part.view] += len(self.store.bad_rows_of(part))
        return plan.dataset.rows - max(bad)

    def path(self, arm: Arm) -> Path:
        """The cache of an arm."""
        return _path(self.folder, self.of[arm.name])


def build_caches(
    options: BuildOptions, images: int, arms: tuple[Arm, ...], signal: str, folder: Path, progress: Progress
) -> Caches:
    """Build the base cache and convert it for each arm; the codec of an arm applies to `signal`."""
    from kdcache.build.notes import PART_ROWS
    from kdcache.build.prepare import prepare
    from kdcache.build.run import begun, build_missing

    options = replace(options, part_rows=options.part_rows or -(-images // PARTS))
    prepared = prepare(options, _path(folder, BASE), progress=progress)
    for note in prepared.notes:
        if note.kind != PART_ROWS:  # part_rows was not the user's choice
            progress.note(note.text)
    for warning in prepared.warnings:
        progress.warn(warning)
    store = begun(prepared)
    progress.note(f"{'building' if store.missing_count else 'using'} {prepared.out}")
    build_missing(store, prepared, progress=progress)
    image = seconds_an_image(store)
    of = {arm.name: _name(arm, store.plan, signal) for arm in arms}
    built = {BASE: _built(store, image)}
    for arm in arms:
        if (name := of[arm.name]) not in built:
            built[name] = _built(_converted(store, arm, signal, _path(folder, name), progress), image)
    return Caches(folder, of, built, store)


def _name(arm: Arm, plan: Plan, signal: str) -> str:
    """Name of an arm's cache: its difference from the base cache."""
    own = {stored.signal.name: make_codec(stored.codec, stored.signal).name for stored in plan.signals}
    codec = [] if arm.codec in (None, own.get(signal)) else [arm.codec]
    fewer = [] if arm.only is None or set(arm.only) == set(own) else [f"only {' and '.join(arm.only)}"]
    return ", ".join([*codec, *fewer]) or BASE


def _converted(base: Store, arm: Arm, signal: str, path: Path, progress: Progress) -> Store:
    from kdcache.reshape.convert import convert

    there = Store.at(path)
    whole = there is not None and not there.missing_count
    progress.note(f"{'using' if whole else 'converting'} for {arm.name}: {path}")
    convert(base.path, path, codecs={signal: arm.codec} if arm.codec else None, signals=arm.only, progress=progress)
    return Store.open(path)


def _built(store: Store, image: Spread) -> Built:
    plan = store.plan
    return Built(
        signals={stored.signal.name: stored.codec for stored in plan.signals},
        bytes=store.bytes(),
        row_bytes=row_bytes(store),
        image=image,
        views=plan.views.count,
        rows=plan.dataset.rows,
    )


def row_bytes(store: Store) -> float:
    """Bytes of one view of one image, without the headers of the parts: in a cache of few images those are most of it."""
    plain = sum(field.row_bytes for field in store.plan.fields() if not field.per_part)
    return min(plain, store.bytes() / (store.plan.dataset.rows * store.plan.views.count))


def seconds_an_image(store: Store) -> Spread:
    """Seconds per image, from the receipts of the parts. The images that pad the last batch of a part are counted too.

    The first part does not count if there are others: in it, the processes that render are started.
    """
    seconds, shown = [], []
    for part in store.plan.parts():
        receipt = store.receipt(part)
        assert receipt is not None, "the build is complete"
        seconds.append(float(str(receipt.facts["seconds"])))
        shown.append(-(-len(store.plan.rows_of(part)) // store.plan.batch) * store.plan.batch)
    if len(seconds) > 1:
        seconds, shown = seconds[1:], shown[1:]
    each = [time / images for time, images in zip(seconds, shown, strict=True)]
    return Spread(mean=sum(seconds) / sum(shown), half=Spread.of(each).half if len(each) >= LEAST else None)


def _path(folder: Path, cache: str) -> Path:
    return folder / cache.replace(", ", "-").replace(" ", "-").replace(":", "-")
