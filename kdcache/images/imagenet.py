"""ImageNet (ILSVRC 2012, CLS-LOC) in the layouts of its publishers and the usual unpacked ones.

Input: a folder, and a split (train, val or test). Accepted within the folder:
- `train/n01440764/*.JPEG`, and `val/` likewise or flat, also below `ILSVRC/Data/CLS-LOC` (Kaggle);
- `ILSVRC2012_img_train.tar` (a tar of tars), `ILSVRC2012_img_val.tar`, `ILSVRC2012_img_test_v10102019.tar`, read in place.
For flat validation images, the files that synsets.py reads are needed. Output: ids `train/n01440764/n01440764_18.JPEG` and
`val/ILSVRC2012_val_00000001.JPEG`; the packed and the unpacked form have the same ids, order and fingerprint.

The class number is the position of the synset in sorted order: among the 1000, if a document lists them, else among the
folders in `train`.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import UsageError
from kdcache.images.folder import read_file
from kdcache.images.formats import EXTENSIONS
from kdcache.images.listing import Lister
from kdcache.images.order import NAMES, check_order, is_by_names, order_doubt, place_of
from kdcache.images.paths import existing
from kdcache.images.shard import Shard, Shards
from kdcache.images.source import UNLABELLED, Listing
from kdcache.images.synsets import DEVKIT, MAPPING, META, SOLUTION, TRUTH, Synsets
from kdcache.images.tarscan import Member
from kdcache.images.walk import Walk

SPLITS = {
    "train": "ILSVRC2012_img_train.tar",
    "val": "ILSVRC2012_img_val.tar",
    "test": "ILSVRC2012_img_test_v10102019.tar",
}
_BELOW = ("", os.path.join("ILSVRC", "Data", "CLS-LOC"), os.path.join("Data", "CLS-LOC"))


def find_images(path: str, split: str) -> str | None:
    """The folder that contains a split's folder, or the path of the split's tar; None if there is neither."""
    for below in _BELOW:
        root = os.path.join(path, below) if below else path
        if os.path.isdir(os.path.join(root, split)):
            return root
    packed = os.path.join(path, SPLITS[split])
    return packed if os.path.isfile(packed) else None


class ImageNetSource:
    """One split of ImageNet."""

    def __init__(self, path: str, split: str = "train", order: str | None = NAMES) -> None:
        self._order = check_order(order)
        if split not in SPLITS:
            raise UsageError(f"imagenet has no split {split!r}", hint=f"it has {', '.join(SPLITS)}")
        self._path, self._split = existing(path, "folder"), split
        images = find_images(self._path, split)
        if images is None:
            raise UsageError(
                f"no ImageNet {split} images in {self._path}",
                hint=f"it should hold the folder {split} or {SPLITS[split]}",
            )
        self._images = images
        self._opened: Shards | None = None
        self._disputed: str | None = None
        self.skipped: dict[str, int] = {}
        """Number of files that the last scan skipped, by file extension."""

    @property
    def name(self) -> str:
        """`imagenet-train` and so on."""
        return f"imagenet-{self._split}"

    def spec(self) -> dict[str, Any]:
        """The plain values from which `open_source` makes this source again."""
        order = {"order": self._order} if self._order else {}
        return {"kind": "imagenet", "path": self._path, "split": self._split, **order}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def scan(self) -> Listing:
        """List the split once and number its classes."""
        lister, synsets = Lister(), Synsets(self._path)
        found = [*self._pairs()]
        if not found:
            raise UsageError(f"no images in {self._images}", hint="give the folder that holds ImageNet")
        flat = found[0][0].count("/") == 1
        by_names = self._order is not None or is_by_names(name.partition("/")[2] for name, _ in found)
        doubt = order_doubt(by_names=by_names, disputed=self._disputed)
        if self._split == "test" and flat:
            for image_id, size in found:
                lister.add(image_id, size)
            return replace(lister.finish(labelled=False), order_doubt=doubt)
        numbers, names = self._classes(synsets, found)
        for image_id, size in found:
            lister.add(image_id, size, self._number(image_id, synsets, numbers, flat))
        return replace(lister.finish(labelled=True, classes=names), order_doubt=doubt)

    def _pairs(self) -> Iterator[tuple[str, int]]:
        if os.path.isdir(self._images):
            walk = Walk(os.path.join(self._images, self._split), self._order)
            yield from ((f"{self._split}/{name}", size) for name, size in walk)
            self.skipped, self._disputed = dict(walk.skipped), walk.disputed
            return
        for shard in self._shards():
            with shard.open() as (read, stop, _):
                for name, member in sorted(shard.members(read, stop), key=self._place):
                    if name.rpartition(".")[2].lower() in EXTENSIONS:
                        yield f"{shard.name}/{name}", member.size

    def _place(self, member: tuple[str, Member]) -> tuple[str, ...]:
        """Sort key of a tar member; it sorts them like the files of the unpacked folder."""
        name, _ = member
        return (name,) if self._order is None else place_of(f"{self._split}/{name}")

    def _classes(self, synsets: Synsets, found: list[tuple[str, int]]) -> tuple[dict[str, int], tuple[str, ...]]:
        words = synsets.words
        if words is None:
            train = find_images(self._path, "train")
            if train and os.path.isdir(train):
                known = [entry.name for entry in os.scandir(os.path.join(train, "train")) if entry.is_dir()]
            else:
                known = [image_id.split("/")[1] for image_id, _ in found]
            words = {name: name for name in sorted(set(known)) if not name.startswith(".")}
        return {synset: number for number, synset in enumerate(words)}, tuple(words.values())

    def _number(self, image_id: str, synsets: Synsets, numbers: dict[str, int], flat: bool) -> int:
        _, _, name = image_id.partition("/")
        if not flat:
            synset = name.partition("/")[0]
        elif synsets.validation is None:
            raise UsageError(
                f"{self._path} has no file that gives the class of {image_id}",
                hint=f"put {SOLUTION} and {MAPPING}, or {DEVKIT}.tar.gz (it has {TRUTH} and {META}) beside the images; "
                f"or use folder:{os.path.join(self._images, self._split)} without labels",
            )
        else:
            synset = synsets.validation.get(name.rpartition(".")[0], "")
        number = numbers.get(synset, UNLABELLED)
        if number == UNLABELLED:
            raise UsageError(
                f"{image_id} in {self._path} has no class among the {len(numbers)} known", hint="is this ILSVRC 2012?"
            )
        return number

    def _shards(self) -> Shards:
        if self._opened is None:
            whole = Shard(self._split, self._images)
            self._opened = Shards([whole] if self._split != "train" else _inner(whole, self._order))
        return self._opened

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """The bytes of one image."""
        return read_file(self._images, image_id) if os.path.isdir(self._images) else self._shards().read(image_id)


def _inner(outer: Shard, order: str | None) -> list[Shard]:
    """The tars within a tar, one per synset, sorted like the unpacked folders."""
    with outer.open() as (read, stop, _):
        found = [(name.removesuffix(".tar"), member) for name, member in outer.members(read, stop)]
    found.sort(key=lambda pair: pair[0] if order else pair[0] + ".tar")
    return [Shard(f"{outer.name}/{name}", outer.path, member.data, member.size) for name, member in found]
