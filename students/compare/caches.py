"""The caches of a comparison: one the teacher fills, and from it those with another codec or fewer signals.

Input: build options. Output: what each of them took. A build that was stopped goes on.
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
"""Name of the cache that the teacher fills; every other cache is named after what differs from it."""
PARTS = 4
"""Number of parts the base cache is cut into, so that the build time has a confidence interval."""
LEAST = 3
"""Smallest number of parts an interval is computed from; images that fill few batches give fewer, and no interval."""


@dataclass(frozen=True)
class Caches:
    """All of them."""

    folder: Path
    of: dict[str, str]
    """Arm -> name of its cache."""
    built: dict[str, Built]
    """Cache name -> its size and build time."""
    store: Store
    """Store of the base cache."""

    @property
    def usable(self) -> int:
        """Images of the view of which fewest could be used."""
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
    """Let the teacher speak once, and convert what it said. A codec of an arm is for `signal`."""
    from kdcache.build.prepare import PART_ROWS, prepare
    from kdcache.build.run import build

    options = replace(options, part_rows=options.part_rows or -(-images // PARTS))
    prepared = prepare(options, _path(folder, BASE), progress=progress)
    for note in prepared.notes:
        if note.kind != PART_ROWS:  # which nobody asked for
            progress.note(note.text)
    for warning in prepared.warnings:
        progress.warn(warning)
    progress.note(f"{'using' if _is_whole(prepared.out) else 'building'} {prepared.out}")
    build(prepared, progress=progress)
    store = Store.open(prepared.out)
    image = seconds_an_image(store)
    of = {arm.name: _name(arm, store.plan, signal) for arm in arms}
    built = {BASE: _built(store, image)}
    for arm in arms:
        if (name := of[arm.name]) not in built:
            built[name] = _built(_converted(store, arm, signal, _path(folder, name), progress), image)
    return Caches(folder, of, built, store)


def _name(arm: Arm, plan: Plan, signal: str) -> str:
    """Of the cache of an arm: what is different in it."""
    own = {stored.signal.name: make_codec(stored.codec, stored.signal).name for stored in plan.signals}
    codec = [] if arm.codec in (None, own.get(signal)) else [arm.codec]
    fewer = [] if arm.only is None or set(arm.only) == set(own) else [f"only {' and '.join(arm.only)}"]
    return ", ".join([*codec, *fewer]) or BASE


def _converted(base: Store, arm: Arm, signal: str, path: Path, progress: Progress) -> Store:
    from kdcache.reshape.convert import convert

    progress.note(f"{'using' if _is_whole(path) else 'converting'} for {arm.name}: {path}")
    convert(base.path, path, codecs={signal: arm.codec} if arm.codec else None, signals=arm.only, progress=progress)
    return Store.open(path)


def _is_whole(path: Path) -> bool:
    """It was made before, as when a comparison that was stopped goes on."""
    return (path / "plan.json").is_file() and not Store.open(path).missing()


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
    """What a view of an image takes at most. In a cache of few images the headers of its parts are more than that."""
    plain = sum(field.row_bytes for field in store.plan.fields() if not field.per_part)
    return min(plain, store.bytes() / (store.plan.dataset.rows * store.plan.views.count))


def seconds_an_image(store: Store) -> Spread:
    """From the receipts, which say what each part took; the teacher is shown whole batches, the last of a part filled up."""
    seconds, shown = [], []
    for part in store.plan.parts():
        receipt = store.receipt(part)
        assert receipt is not None, "the build is complete"
        seconds.append(float(str(receipt.facts["seconds"])))
        shown.append(-(-len(store.plan.rows_of(part)) // store.plan.batch) * store.plan.batch)
    each = [time / images for time, images in zip(seconds, shown, strict=True)]
    return Spread(mean=sum(seconds) / sum(shown), half=Spread.of(each).half if len(each) >= LEAST else None)


def _path(folder: Path, cache: str) -> Path:
    return folder / cache.replace(", ", "-").replace(" ", "-").replace(":", "-")
