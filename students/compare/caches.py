"""The caches of a comparison: one the teacher fills, and from it those with other codecs.

Input: build options. Output: per codec what it took. A build that was stopped goes on.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from kdcache.options import BuildOptions
from kdcache.progress import Progress
from kdcache.store import Store
from kdcache.strict import Strict
from students.compare.arms import Arm
from students.compare.sums import Spread

PARTS = 4
"""at least so many, so that the time of the build has an interval"""
LEAST = 3
"""with fewer parts, as of few images in large batches, an interval would say nothing"""


class Built(Strict):
    """The cache of an arm."""

    codec: str
    bytes: int
    image: Spread
    """seconds for one view of one image: the teacher's pass, without what is paid once a process, such as loading the teacher"""
    views: int
    rows: int

    @property
    def seconds(self) -> float:
        """Of the whole build."""
        return self.image.mean * self.rows * self.views


@dataclass(frozen=True)
class Caches:
    """All of them."""

    folder: Path
    base: str
    """codec of the one the others are made from"""
    built: dict[str, Built]
    store: Store
    """the base"""

    def path(self, arm: Arm) -> Path:
        """The cache of an arm."""
        return _path(self.folder, arm.codec or self.base, self.base)


def build_caches(options: BuildOptions, images: int, arms: tuple[Arm, ...], folder: Path, progress: Progress) -> Caches:
    """Let the teacher speak once, and convert what it said."""
    from kdcache.build import build
    from kdcache.prepare import prepare
    from kdcache.reshape import convert

    options = replace(options, part_rows=options.part_rows or -(-images // PARTS))
    prepared = prepare(options, folder / "base", progress=progress)
    for note in prepared.notes:
        progress.note(note)
    progress.note(f"building {prepared.out}")
    build(prepared, progress=progress)
    store = Store.open(prepared.out)
    base = next(stored.codec for stored in store.plan.signals if stored.signal.name == "logits")
    image = seconds_an_image(store)
    size = {"rows": store.plan.dataset.rows, "views": store.plan.views.count}
    built = {base: Built(codec=base, bytes=store.bytes(), image=image, **size)}
    for codec in dict.fromkeys(arm.codec for arm in arms if arm.codec and arm.codec != base):
        path = _path(folder, codec, base)
        progress.note(f"converting to {codec}: {path}")
        convert(prepared.out, path, codecs={"logits": codec}, progress=progress)
        built[codec] = Built(codec=codec, bytes=Store.open(path).bytes(), image=image, **size)
    return Caches(folder, base, built, store)


def seconds_an_image(store: Store) -> Spread:
    """From the receipts, which say what each part took."""
    each = []
    for part in store.plan.parts():
        receipt = store.receipt(part)
        assert receipt is not None, "the build is complete"
        each.append(float(str(receipt.facts["seconds"])) / len(store.plan.rows_of(part)))
    if len(each) < LEAST:
        return Spread(mean=sum(each) / len(each), half=None)
    return Spread.of(each)


def _path(folder: Path, codec: str, base: str) -> Path:
    return folder / ("base" if codec == base else codec.replace(":", "-"))
