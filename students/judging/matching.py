"""Which class of a student is meant by a class of some images.

Input: the class names of a dataset and those of a student. Output: the student's number of every class of the dataset, and by
which rule it was found. The rules, the first that fits wins:

1. Images with class numbers and no names: by number, when their largest number is the student's last.
2. A student whose classes have no names ("class 0", "class 1" …): by number, when there are as many classes of the images. The
   number of a folder named 0 to N-1 is its name, whose place in the alphabet is another ("10" before "2").
3. By name: every class of the images is one of the student's, which may have more.
4. Folders named 0 to N-1 (ImageNet-V2), when the student has N classes: the folder's name is the number.
5. Folders named by WordNet ids of ImageNet-1k (n01440764), all 1000 or some: the place of the id in their sorted order, where
   the student must have 1000 classes, and, unless all 1000 are there, its words for each must be ImageNet's.

Anything else is refused: a wrong guess would be a wrong accuracy.
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
    """Where the classes of a dataset are among a student's."""

    numbers: NDArray[np.int64]
    """the student's class number of each class of the dataset"""
    rule: str
    """how they were matched, in words"""


def match_classes(images: Names | None, highest: int, student: Names) -> Matching:
    """Match the classes of images with a student's; `highest` is the largest class number of the images."""
    if images is None:
        if highest + 1 != len(student):
            raise Mismatch(
                f"the images have class numbers up to {highest} without names, the student has {len(student)} classes",
                hint="give images whose classes have names, or a student with as many classes",
            )
        return Matching(np.arange(len(student)), "by number: the images' classes have no names")
    if is_unnamed(student):
        if len(images) != len(student):
            raise Mismatch(
                f"the images have {len(images)} classes, the student {len(student)} without names",
                hint="a student without class names can only be judged on as many classes as it has",
            )
        return _by_folder_number(images) or Matching(
            np.arange(len(student)), "by number: the student's classes have no names"
        )
    numbers = _by_name(images, student)
    if numbers is not None:
        return Matching(numbers, "by name")
    return _by_folder(images, student)


def is_unnamed(classes: Names) -> bool:
    """True when nobody knew what a student's classes are called."""
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
            f"the class name {twice!r} means two classes ({images.count(twice)} of the images', "
            f"{student.count(twice)} of the student's)",
            hint="classes are matched by name: give images whose classes have names of their own",
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
    """The numbers that names say when they are 0 to N-1, all of them, in whatever order."""
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
        f"{len(strange)} of the images' {len(images)} classes are not among the student's {len(student)}: "
        f"{_some(strange)}; the student knows {_some(student)}",
        hint="classes are matched by name; rename the folders, or choose images of the student's classes with --data",
        strangers=list(strange),
    )


def _some(names: Names | list[str]) -> str:
    more = f" … ({len(names)})" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
