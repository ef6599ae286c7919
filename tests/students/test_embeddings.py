"""Nearest images exactly, in pieces of any size; what is read off embeddings; which bank belongs to which images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from kdcache.errors import Mismatch, UsageError
from kdcache.images.splits import held_out, training_split
from students.judging.features import Compared, Embedded, check_bank
from students.judging.neighbours import nearest
from students.tasks.knn import vote
from students.tasks.probe import probe
from students.tasks.retrieve import retrieve, searched

FACTS = Compared(
    data="a", fingerprint="1", bank="b", bank_fingerprint="2", images=1, bank_images=1, unlabelled=0, rejected={}
)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 5), st.integers(1, 17), st.integers(1, 23))
def test_pieces_find_what_one_large_product_finds(queries, bank, count, first, second):
    torch.manual_seed(queries * 100 + bank)
    asked, known = torch.randn(queries, 8), torch.randn(bank, 8)
    cosines, rows = nearest(asked, known, count, queries_a_piece=first, bank_a_piece=second)
    alike = functional.normalize(asked) @ functional.normalize(known).T
    best, wanted = alike.topk(min(count, bank), dim=1)
    torch.testing.assert_close(cosines, best)
    assert torch.equal(rows, wanted)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 60), st.integers(1, 7), st.integers(1, 9))
def test_of_equally_near_ones_the_lower_row_comes_first(queries, bank, count, piece):
    """Embeddings of few different directions, each many times, in pieces of any size."""
    dice = np.random.default_rng(queries * 1000 + bank)
    known = torch.from_numpy(np.eye(3, dtype=np.float32)[dice.integers(0, 3, bank)])
    asked = torch.from_numpy(np.eye(3, dtype=np.float32)[dice.integers(0, 3, queries)])
    _, rows = nearest(asked, known, count, queries_a_piece=2, bank_a_piece=piece)
    expected = np.argsort(-(asked @ known.T).numpy(), axis=1, kind="stable")[:, :count]
    assert np.array_equal(rows.numpy(), expected)


def test_length_does_not_matter():
    asked, known = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.9, 0.1], [50.0, 40.0]])
    assert nearest(asked, known, 1)[1].item() == 0


def test_retrieval_counts_any_and_all():
    """Two queries by hand: the first's nearest is wrong and the other two right, the second's are all right."""
    angles = torch.tensor([0.0, 0.1, 0.2, 2.0, 2.1, 2.2])
    bank = torch.stack([angles.cos(), angles.sin()], 1)
    labels = np.array([1, 0, 0, 0, 0, 0])
    queries = torch.tensor([[1.0, 0.0], [np.cos(2.1), np.sin(2.1)]], dtype=torch.float32)
    found = searched(queries, np.array([0, 0]), bank, labels)
    assert (found.top1, found.top3, found.top3_all) == (0.5, 1.0, 0.5)


def test_the_third_nearest_counts_and_the_fourth_does_not():
    angles = torch.tensor([0.1, 0.2, 0.3, 0.4])
    bank = torch.stack([angles.cos(), angles.sin()], 1)
    for place, found in ((2, 1.0), (3, 0.0)):
        labels = np.array([int(number == place) for number in range(4)])
        marks = searched(torch.tensor([[1.0, 0.0]]), np.array([1]), bank, labels)
        assert (marks.top1, marks.top3, marks.top3_all) == (0.0, found, 0.0)


def test_the_other_way_round_the_bank_asks():
    """One query far from most of the bank: each of the bank finds it, being alone, and one of four is of its class."""
    bank = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.0, 1.0]])
    seen = Embedded(torch.tensor([[0.0, 1.0]]), np.array([7]), bank, np.array([1, 2, 3, 7]), FACTS)
    marks = retrieve(seen)
    assert (marks.found.queries, marks.found.top1) == (1, 1.0)
    assert (marks.inverse.queries, marks.inverse.top1) == (4, 0.25)


def blobs(count: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Three classes, each round a corner of its own."""
    dice = torch.Generator().manual_seed(seed)
    labels = np.arange(count) % 3
    corners = torch.eye(3)[torch.from_numpy(labels)]
    return corners * 4 + torch.randn(count, 3, generator=dice) * 0.5, labels


def test_what_is_there_is_read_and_what_is_not_is_not():
    (asked, labels), (known, known_labels) = blobs(90, 0), blobs(300, 1)
    seen = Embedded(asked, labels, known, known_labels, FACTS)
    assert probe(seen, seed=0).top1 > 0.95
    assert vote(seen).top1 > 0.95
    assert retrieve(seen).mean > 0.95
    mixed = np.random.default_rng(0).permutation(known_labels)
    noise = Embedded(asked, labels, known, mixed, FACTS)
    assert probe(noise, seed=0).top1 < 0.6
    assert vote(noise).top1 < 0.6


def test_a_bank_that_is_too_small_to_fit_on_is_told():
    (asked, labels), (known, known_labels) = blobs(9, 0), blobs(3, 1)
    with pytest.raises(UsageError, match="20 labelled images") as error:
        probe(Embedded(asked, labels, known, known_labels, FACTS), seed=0)
    assert "--bank" in error.value.hint


def test_a_probe_with_another_seed_is_another_evaluation():
    from students.judging.embeddings import Reading
    from students.tasks.probe import TASK, ProbeReport

    ran = {"about": FACTS, "precision": "float32", "device": "cpu", "seconds": 1.0}
    one, other = (ProbeReport(marks=Reading(top1=0.4, interval=(0.2, 0.5)), seed=seed, **ran) for seed in (0, 1))
    assert TASK.subject(one) != TASK.subject(other)


def test_twenty_vote():
    """Equally near ones: the twentieth settles it, the twenty-first is not asked."""
    labels = np.array([0] * 9 + [1] * 10 + [0] + [1] * 5)
    bank = torch.tensor([[1.0, 0.0]]).repeat(len(labels), 1)
    seen = Embedded(torch.tensor([[1.0, 0.0]]), np.array([0]), bank, labels, FACTS)
    assert vote(seen).top1 == 1.0, "ten against ten, the lower class"
    assert vote(replace(seen, bank_labels=np.where(np.arange(25) == 19, 1, labels))).top1 == 0.0


def test_nearer_votes_weigh_more():
    """Nineteen far ones of a class against one that is very near."""
    bank = torch.cat([torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]).repeat(19, 1)])
    labels = np.array([0, *[1] * 19])
    seen = Embedded(torch.tensor([[1.0, 0.0]]), np.array([0]), bank, labels, FACTS)
    assert vote(seen).top1 == 1.0


def test_splits_belong_together(tmp_path: Path):
    assert held_out({"kind": "shapes", "split": "train", "count": 9}) == {"kind": "shapes", "split": "val"}
    assert training_split({"kind": "shapes", "split": "val", "count": 9}) == {"kind": "shapes", "split": "train"}
    assert training_split({"kind": "cifar10", "path": "x", "split": "test"})["split"] == "train"
    assert training_split({"kind": "shapes", "split": "train"}) is None
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
    there = {"kind": "folder", "path": str(tmp_path / "val")}
    assert training_split(there) == {"kind": "folder", "path": str(tmp_path / "train")}
    assert held_out(training_split(there)) == there


def test_a_bank_is_of_the_same_classes_and_not_the_same_images():
    from kdcache.images import open_source
    from students.judging.pictures import labelled

    images, more = (labelled(open_source(f"shapes:{which}")) for which in ("count=30", "split=val,count=40"))
    check_bank(images, more)
    with pytest.raises(UsageError, match="searched in itself"):
        check_bank(images, images)
    with pytest.raises(UsageError, match="30 images of shapes-train are in shapes-train too"):
        check_bank(images, labelled(open_source("shapes:count=50")))
    with pytest.raises(UsageError, match="30 images of shapes-train are in shapes-train too"):
        check_bank(images, labelled(open_source("shapes:count=50,size=48")))
    with pytest.raises(Mismatch, match="no class of shapes-train has an image in shapes-val"):
        check_bank(images, replace(more, labels=more.labels + 50))
    with pytest.raises(UsageError, match="are in shapes-train-40-9 too"):
        check_bank(
            labelled(open_source("few:5:shapes:count=50")), labelled(open_source("few:9:few:40:shapes:count=50"))
        )
    named = replace(images, classes=("a", "b"))
    with pytest.raises(Mismatch, match="only shapes-train has 'a'; only shapes-val has 'c', 'd'"):
        check_bank(named, replace(more, classes=("b", "c", "d")))
    with pytest.raises(Mismatch, match="do not have the same classes: the same ones in another order"):
        check_bank(named, replace(more, classes=("b", "a")))


def test_a_bank_with_copies_of_the_judged_images(tmp_path):
    """A part of the images beside them: refused if the pictures are the same, not if only their names are."""
    from kdcache.images import open_source
    from students.judging.pictures import labelled
    from tests.images.samples import jpeg, write

    images, part, other = (tmp_path / name for name in ("images", "part", "other"))
    for folder, count, seed in ((images, 6, 0), (part, 5, 0), (other, 4, 100)):
        for number in range(count):
            write(folder / "ab"[number % 2] / f"{number}.jpg", jpeg(seed + number))
    listed = labelled(open_source(str(images)))
    with pytest.raises(UsageError, match="5 images of images are in part too"):
        check_bank(listed, labelled(open_source(str(part))))
    check_bank(listed, labelled(open_source(str(other))))
