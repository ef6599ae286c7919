"""Reassessed labels of ImageNet's validation images ("IN-Real"): an image can have several or none.

Input: `real.json` of google-research/reassessed-imagenet, a list by validation number: entry 0 holds the class numbers of
ILSVRC2012_val_00000001. Output: the labels of each image. Images with an empty list are left out, as in the authors' code.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.plain_json import read_json
from kdcache.base.strict import Strict
from kdcache.errors import Mismatch, UsageError
from students.judging.interval import wilson
from students.judging.matching import folder_numbers
from students.judging.pictures import Labelled

_ENOUGH = 20
"""Smallest number of images for checking that the labels use the class numbers of the images."""
_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})")


class RealMarks(Strict):
    """Accuracy against the reassessed labels: a first guess is right if it is one of the image's labels."""

    images: int
    empty: int
    """Number of images without a reassessed label, which are left out."""
    top1: float
    interval: tuple[float, float]
    """95 % interval (Wilson)."""


class RealLabels:
    """Reassessed labels, with the class numbers of the dataset they belong to."""

    def __init__(self, path: Path, labels: list[list[int]]) -> None:
        self.path, self._labels = path, labels

    @classmethod
    def read(cls, path: Path) -> "RealLabels":
        """Read real.json. Raises UsageError if the file has another content."""
        plain: Any = read_json(path, hint="give real.json", error=UsageError)
        if not isinstance(plain, list) or not plain:
            raise UsageError(f"{path} is not a list of lists of class numbers", hint="give real.json")
        for number, entry in enumerate(plain):
            if not isinstance(entry, list) or not all(type(label) is int and label >= 0 for label in entry):
                raise UsageError(f"entry {number} of {path} is {entry!r}, not a list of class numbers")
        return cls(path, plain)

    def of(self, images: Labelled) -> list[frozenset[int]]:
        """The labels of each image, in the student's class numbers."""
        assert images.matching is not None, "call `named_by` first"
        numbers = images.matching.numbers
        named = None if images.own_classes is None else folder_numbers(images.own_classes)
        if named is not None:  # the file numbers classes by the folder names, not by their alphabetical order
            numbers = numbers[np.argsort(named)]
        highest = max((label for entry in self._labels for label in entry), default=-1)
        if highest >= len(numbers):
            raise Mismatch(
                f"{self.path} has class number {highest}, the images have {len(numbers)} classes",
                hint="--real only applies to the validation images of ImageNet-1k",
            )
        labels = [frozenset(int(numbers[label]) for label in self._of(image_id)) for image_id in images.ids]
        self._refuse_another_order(images.labels, labels)
        return labels

    def _refuse_another_order(self, known: NDArray[np.int64], labels: list[frozenset[int]]) -> None:
        """Refuse images whose classes are numbered in another order.

        In the right order nine of ten ImageNet images have their original label among the reassessed ones.
        """
        judged = [(old, new) for old, new in zip(known.tolist(), labels, strict=True) if new]
        kept = sum(old in new for old, new in judged)
        if len(judged) >= _ENOUGH and kept < len(judged) / 2:
            raise Mismatch(
                f"only {kept:,} of {len(judged):,} images have their own class among their labels in {self.path}: "
                "the file numbers classes in another order than the images",
                hint="the file numbers classes by sorted WordNet id: name the folders by WordNet id, or by number from 0 to 999",
            )

    def _of(self, image_id: str) -> list[int]:
        found = _NUMBER.search(image_id.rpartition("/")[2])
        if not found:
            raise Mismatch(
                f"{image_id} is not a validation image of ImageNet: its name is not ILSVRC2012_val_ and eight digits",
                hint="--real only applies to the validation images of ImageNet-1k",
            )
        place = int(found[1])
        if not 1 <= place <= len(self._labels):
            raise Mismatch(f"{image_id} is not among the {len(self._labels)} entries of {self.path}")
        return self._labels[place - 1]


class RealScores:
    """Counts first guesses that are among an image's reassessed labels."""

    def __init__(self, labels: list[frozenset[int]]) -> None:
        self._labels = labels
        self._images = self._empty = self._right = 0

    def add(self, rows: NDArray[np.int64], guesses: NDArray[np.int64]) -> None:
        """Add the most likely classes of some rows."""
        for row, guess in zip(rows.tolist(), guesses.tolist(), strict=True):
            labels = self._labels[row]
            self._images += bool(labels)
            self._empty += not labels
            self._right += guess in labels

    def marks(self) -> RealMarks:
        """The scores so far. Raises UsageError if every image was left out."""
        if not self._images:
            raise UsageError(f"none of the {self._empty} images has a reassessed label", hint="leave --real out")
        return RealMarks(
            images=self._images,
            empty=self._empty,
            top1=self._right / self._images,
            interval=wilson(self._right, self._images),
        )
