"""A class of the images is the student's class of that name, or the question is refused."""

import numpy as np
import pytest

from kdcache.errors import Mismatch
from students.judging.matching import match_classes

ANIMALS = ("cat", "dog", "emu", "fox")
UNNAMED = tuple(f"class {n}" for n in range(4))


def test_classes_are_matched_by_name_in_any_order_and_may_be_fewer():
    found = match_classes(("fox", "cat"), 1, ANIMALS)
    assert found.numbers.tolist() == [3, 0]
    assert found.rule == "by name"


def test_a_class_the_student_does_not_know_is_named_with_both_sides():
    with pytest.raises(
        Mismatch, match=r"1 of the images' 2 classes are not among the classifier's 4: 'gnu'.*'cat', 'dog'"
    ):
        match_classes(("cat", "gnu"), 1, ANIMALS)


def test_the_number_of_a_folder_called_by_number_is_its_name_and_not_its_place_in_the_alphabet():
    folders = tuple(sorted(str(n) for n in range(12)))
    assert folders[2] == "10"
    for student in (tuple(f"class {n}" for n in range(12)), tuple(f"kind {n}" for n in range(12))):
        found = match_classes(folders, 11, student)
        assert found.numbers.tolist() == [int(name) for name in folders]
        assert "called by class number" in found.rule


def test_a_student_without_names_is_matched_by_number_and_says_so():
    found = match_classes(ANIMALS, 3, UNNAMED)
    assert found.numbers.tolist() == [0, 1, 2, 3]
    assert "by number" in found.rule
    with pytest.raises(Mismatch, match="3 classes, the classifier has 4 without names"):
        match_classes(ANIMALS[:3], 2, UNNAMED)


def test_images_without_class_names_need_as_many_classes():
    assert "by number" in match_classes(None, 3, ANIMALS).rule
    with pytest.raises(Mismatch, match="up to 2 without names, the classifier has 4"):
        match_classes(None, 2, ANIMALS)


def test_names_that_mean_two_classes_are_matched_only_when_both_lists_are_the_same():
    birds = ("crane", "dog", "crane")
    assert match_classes(birds, 2, birds).numbers.tolist() == [0, 1, 2]
    with pytest.raises(Mismatch, match="'crane' is ambiguous"):
        match_classes(("crane", "dog"), 1, birds)


def test_folders_called_by_number_are_numbers_when_all_are_there():
    folders = ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")
    student = tuple("abcdefghijkl")
    found = match_classes(folders, 11, student)
    assert found.numbers.tolist() == [int(name) for name in folders]
    assert "by number" in found.rule
    with pytest.raises(Mismatch, match="11 classes are not among"):
        match_classes(folders[:-1], 10, student)


def test_wordnet_folders_are_classes_of_imagenet():
    from timm.data import ImageNetInfo

    known = ImageNetInfo("imagenet-1k")
    wordnet, words = tuple(known.label_names()), tuple(known.index_to_description(n) for n in range(1000))
    assert np.array_equal(match_classes(wordnet, 999, words).numbers, np.arange(1000))
    # Two classes are called crane: the id says which.
    some = (wordnet[517], wordnet[134])
    assert (words[517], words[134]) == ("crane", "crane")
    assert match_classes(some, 1, words).numbers.tolist() == [517, 134]
    with pytest.raises(Mismatch, match="2 of the images' 2 classes"):
        match_classes(some, 1, tuple(f"thing {n}" for n in range(1000)))
