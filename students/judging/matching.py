"""Matches the classes of a dataset with those of a student.

Input: the class names of a dataset and those of a student. Output: the student's number for every class of the dataset, and the
rule that was used, which is the first that applies:

1. The images have class numbers without names, and their largest number is the student's last: by number.
2. The student's classes have no names ("class 0", "class 1" …), and the images have as many classes: by number. For folders
   named 0 to N-1 the name is the number, not the position in alphabetical order ("10" before "2").
3. Every class name of the images is one of the student's, which may have more: by name.
4. The folders are named 0 to N-1 (ImageNet-V2), and the student has N classes: by the number in the name.
5. The folders are named by WordNet ids of ImageNet-1k (n01440764), all 1000 or some, and the student has 1000 classes: by the
   position of the id in sorted order. Unless all 1000 are there, the student's class names must be ImageNet's.

Anything else is refused: a wrong match would give a wrong accuracy.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import Mismatch

Names = tuple[str, ...]
_WORDNET = re.compile(r"n\d{8}")
_SHOWN = 3


@dataclass(frozen=True)
class Matching:
    """Class numbers of a dataset translated to a student's."""

    numbers: NDArray[np.int64]
    """Student's class number for each class of the dataset."""
    rule: str
    """Rule by which the classes were matched, in words."""


def match_classes(images: Names | None, highest: int, student: Names) -> Matching:
    """Match the classes of images with a student's; `highest` is the largest class number of the images."""
    if images is None:
        if highest + 1 != len(student):
            raise Mismatch(
                f"the images have class numbers up to {highest} without names, the classifier has {len(student)} classes",
                hint="give images whose classes have names, or a classifier of as many classes as the images",
            )
        return Matching(np.arange(len(student)), "by number: the images' classes have no names")
    if is_unnamed(student):
        if len(images) != len(student):
            raise Mismatch(
                f"the images have {len(images)} classes, the classifier has {len(student)} without names",
                hint="a classifier without class names can only be judged on as many classes as it has",
            )
        return _by_folder_number(images) or Matching(
            np.arange(len(student)), "by number: the student's classes have no names"
        )
    numbers = _by_name(images, student)
    if numbers is not None:
        return Matching(numbers, "by name")
    return _by_folder(images, student)


def is_unnamed(classes: Names) -> bool:
    """True when a student's classes have placeholder names only."""
    return all(name == f"class {number}" for number, name in enumerate(classes))


def _by_name(images: Names, student: Names) -> NDArray[np.int64] | None:
    if images == student:
        return np.arange(len(student))
    known = {name: number for number, name in enumerate(student)}
    if not known.keys() >= set(images):
        return None
    counts = Counter(student) + Counter(set(images))
    twice = next((name for name in images if counts[name] > 2 or images.count(name) > 1), None)
    if twice is not None:
        raise Mismatch(
            f"the class name {twice!r} is ambiguous ({images.count(twice)} of the images' classes, "
            f"{student.count(twice)} of the classifier's)",
            hint="classes are matched by name: give images whose classes have distinct names",
        )
    return np.array([known[name] for name in images])


def _by_folder(images: Names, student: Names) -> Matching:
    by_number = _by_folder_number(images) if len(images) == len(student) else None
    if by_number is not None:
        return by_number
    if all(map(_WORDNET.fullmatch, images)) and len(student) == 1000:
        return _by_wordnet(images, student)
    raise _strangers(images, student, [name for name in images if name not in student])


def _by_folder_number(images: Names) -> Matching | None:
    numbers = folder_numbers(images)
    return None if numbers is None else Matching(numbers, "by number: the folders are called by class number")


def folder_numbers(names: Names) -> NDArray[np.int64] | None:
    """The names as numbers, if they are exactly 0 to N-1 in any order; else None."""
    if not all(name.isascii() and name.isdecimal() for name in names):
        return None
    numbers = np.array([int(name) for name in names])
    return numbers if np.array_equal(np.sort(numbers), np.arange(len(names))) else None


def _by_wordnet(images: Names, student: Names) -> Matching:
    from timm.data import ImageNetInfo

    known = ImageNetInfo("imagenet-1k")
    place = {wordnet: number for number, wordnet in enumerate(known.label_names())}
    if set(images) == place.keys():
        return Matching(np.array([place[name] for name in images]), "by number: all 1000 WordNet ids of ImageNet-1k")
    strange = [w for w in images if w not in place or student[place[w]] != known.index_to_description(place[w])]
    if strange:
        raise _strangers(images, student, strange)
    return Matching(np.array([place[name] for name in images]), "by name: the words of each WordNet id")


def _strangers(images: Names, student: Names, strange: list[str]) -> Mismatch:
    return Mismatch(
        f"{len(strange)} of the images' {len(images)} classes are not among the classifier's {len(student)}: "
        f"{_some(strange)}; the classifier has {_some(student)}",
        hint="classes are matched by name; rename the folders, or choose images of the classifier's classes with --data",
        strangers=list(strange),
    )


def _some(names: Names | list[str]) -> str:
    more = f" … ({len(names)})" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
