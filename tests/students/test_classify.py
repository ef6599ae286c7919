"""Judging a student: every image is seen once or named as unreadable, whatever the batches and workers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdcache.base.progress import Silent
from kdcache.errors import Incomplete, Mismatch, UsageError
from kdcache.images import load
from kdcache.views import apply, draw
from students.judging.pictures import labelled
from students.tasks.classify import TASK, Settings
from students.tasks.classify.real import RealLabels
from tests.students.judging import Labelled, Tiny, cycling, examples_of, judged_by, spec_of, student_of

ANIMALS = ("cat", "dog", "emu", "fox")


def judged(source, spec, *, workers=0, batch=8, real=None, network=None):
    settings = Settings(real=None if real is None else str(real.path))
    network = network or Tiny(len(spec.classes))
    return judged_by("classify", network, spec, source, settings=settings, workers=workers, batch=batch)


def without_time(report):
    return report.model_copy(update={"seconds": 0.0})


def test_a_report_is_what_the_network_says_about_each_image():
    source, spec, network = cycling(30, ANIMALS), spec_of(*ANIMALS), Tiny(4).eval()
    report = judged(source, spec, network=network)
    guesses = []
    for image_id in source.ids:
        plain = draw(spec.geometry, seed=0, image_id=image_id, view=0)
        pixels = torch.from_numpy(apply(load(source, image_id), plain, spec.input)).permute(2, 0, 1)[None] / 255
        means, stds = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
        with torch.inference_mode():
            guesses.append(int(network((pixels - means) / stds).argmax()))
    right = [guess == label for guess, label in zip(guesses, source.labels, strict=True)]
    assert report.top1 == np.mean(right)
    assert (report.images, report.matched, report.data) == (30, "by name", "painted")
    assert sum(marks.images for marks in report.classes) == 30
    assert sum(marks.right for marks in report.classes) == sum(right)
    assert report.interval[0] < report.top1 < report.interval[1]


@pytest.mark.parametrize(("workers", "batch"), [(0, 1), (0, 30), (2, 7)])
def test_neither_batch_nor_workers_change_which_images_are_right(workers, batch):
    source, spec = cycling(30, ANIMALS), spec_of(*ANIMALS)
    expected, report = judged(source, spec), judged(source, spec, workers=workers, batch=batch)
    assert report.confusion == expected.confusion
    assert report.loss == pytest.approx(expected.loss, abs=1e-5)


def test_images_that_cannot_be_read_are_counted_and_named():
    good = cycling(10, ANIMALS)
    source = Labelled(ids=(*good.ids, "bad-1", "bad-2"), labels=(*good.labels, 0, 1), classes=ANIMALS)
    report = judged(source, spec_of(*ANIMALS))
    assert report.rejected == {"bad-1": "bad-1 is broken", "bad-2": "bad-2 is broken"}
    assert report.images == 10
    assert report.confusion == judged(good, spec_of(*ANIMALS)).confusion


def test_when_nothing_can_be_read_there_is_no_report():
    source = Labelled(ids=("bad-1",), labels=(0,), classes=ANIMALS)
    with pytest.raises(Incomplete, match="none of the 1 images of painted can be read; bad-1: bad-1 is broken"):
        judged(source, spec_of(*ANIMALS))


def test_images_without_a_class_are_left_out_and_counted():
    source = Labelled(ids=("image-1", "image-2", "image-3"), labels=(0, -1, 3), classes=ANIMALS)
    report = judged(source, spec_of(*ANIMALS))
    assert (report.images, report.unlabelled) == (2, 1)
    with pytest.raises(UsageError, match="have no labels"):
        judged(Labelled(ids=("image-1",), labels=(-1,), classes=ANIMALS), spec_of(*ANIMALS))


def test_labels_become_the_students_own_numbers():
    """The same images under another order of the class names are the same question."""
    spec = spec_of(*ANIMALS)
    turned = Labelled(ids=cycling(20, ANIMALS).ids, labels=tuple(3 - r % 4 for r in range(20)), classes=ANIMALS[::-1])
    assert without_time(judged(turned, spec)).confusion == judged(cycling(20, ANIMALS), spec).confusion
    with pytest.raises(Mismatch, match="'gnu'"):
        judged(cycling(4, ("cat", "gnu")), spec)


def test_pictures_may_be_looked_at_again_and_the_network_keeps_its_mode():
    """A trainer's use: the pool stays open; norms that were frozen while training stay so."""
    network, spec = Tiny(4).train(), spec_of(*ANIMALS)
    network.norm.eval()
    student = student_of(network, spec)
    with examples_of(cycling(20, ANIMALS), workers=1) as examples:
        first, second = (TASK.judge(student, examples, Settings(), Silent()) for _ in range(2))
        assert len(examples._opened) == 1, "one pool renders both times"
    assert without_time(first) == without_time(second)
    assert (network.training, network.drop.training, network.norm.training) == (True, True, False)
    assert int(network.norm.num_batches_tracked) == 0


def test_weights_that_changed_since_are_the_ones_that_are_judged():
    """timm's TinyViT keeps attention biases of eval mode; a running average changes them behind its back."""
    from students.families.registry import build_student, student_spec

    spec = student_spec("tinyvit-5m", classes=ANIMALS, size=32)
    torch.manual_seed(0)
    network = build_student(spec).eval()
    student = student_of(network, spec)
    with examples_of(cycling(8, ANIMALS)) as examples:
        before = TASK.judge(student, examples, Settings(), Silent())
        with torch.no_grad():
            network(torch.zeros(1, 3, 32, 32))
            for name, parameter in network.named_parameters():
                if name.endswith("attention_biases"):
                    parameter.uniform_(-30, 30)
        after = TASK.judge(student, examples, Settings(), Silent())
    fresh = build_student(spec)
    fresh.load_state_dict(network.state_dict())
    assert after.loss == judged(cycling(8, ANIMALS), spec, network=fresh).loss != before.loss


def test_autocast_is_used_where_it_is_asked_for():
    seen = []

    class Listens(Tiny):
        def forward(self, pixels):
            output = super().forward(pixels)
            seen.append(output.dtype)
            return output

    for precision in ("float32", "bfloat16"):
        judged_by("classify", Listens(4), spec_of(*ANIMALS), cycling(4, ANIMALS), batch=4, precision=precision)
    assert seen == [torch.float32, torch.bfloat16]


def test_the_most_frequent_mistakes_come_first():
    report = judged(cycling(40, ANIMALS), spec_of(*ANIMALS))
    wrong = {(t, g): n for t, g, n in report.most_confused(99)}
    assert list(wrong.values()) == sorted(wrong.values(), reverse=True)
    assert sum(wrong.values()) == 40 - round(report.top1 * 40)
    assert all(true != guessed for true, guessed in wrong)


class TestReassessedLabels:
    """IN-Real: an image may have several labels, or none and is then left out."""

    IDS = tuple(f"val/ILSVRC2012_val_{n:08d}.JPEG" for n in (3, 1, 4))

    @pytest.fixture
    def source(self):
        class Val(Labelled):
            def read(self, image_id):
                return super().read(f"image-{int(image_id[-8:-5])}")

        return Val(ids=self.IDS, labels=(0, 1, 2), classes=ANIMALS[::-1])

    def read(self, tmp_path, value):
        path = tmp_path / "real.json"
        path.write_text(json.dumps(value))
        return RealLabels.read(path)

    def test_labels_are_found_by_validation_number_and_turned_into_the_students(self, tmp_path, source):
        real = self.read(tmp_path, [[0, 2], [], [3], []])
        images = labelled(source).named_by(spec_of(*ANIMALS))
        assert real.of(images) == [frozenset({0}), frozenset({3, 1}), frozenset()]

    def test_a_guess_among_the_labels_is_right_and_empty_ones_are_left_out(self, tmp_path, source):
        everything = list(range(4))
        marks = judged(source, spec_of(*ANIMALS), real=self.read(tmp_path, [everything, [], everything, []])).real
        assert (marks.images, marks.empty, marks.top1) == (2, 1, 1.0)
        report = judged(source, spec_of(*ANIMALS), real=self.read(tmp_path, [[1], [], [0], [2]]))
        assert report.real.top1 == report.top1, "the old labels said again"

    def test_what_is_no_such_list_is_refused(self, tmp_path, source):
        for wrong in ({}, [], [1], [["cat"]], [[True]], [[-1]]):
            with pytest.raises(UsageError):
                self.read(tmp_path, wrong)
        with pytest.raises(UsageError, match="reassessed label"):
            judged(source, spec_of(*ANIMALS), real=self.read(tmp_path, [[], [], [], []]))

    def test_folders_called_by_number_have_the_files_numbers_and_not_the_alphabets(self, tmp_path, source):
        folders = tuple(sorted(str(n) for n in range(12)))
        images = labelled(replace(source, labels=(folders.index("10"),) * 3, classes=folders))
        for student in (tuple(f"kind {n}" for n in range(12)), folders, tuple(f"class {n}" for n in range(12))):
            named = images.named_by(spec_of(*student))
            assert self.read(tmp_path, [[10], [], [10], []]).of(named)[:2] == [{int(named.labels[0])}] * 2

    def test_a_file_that_counts_classes_in_another_order_is_refused(self, tmp_path):
        ids = tuple(f"val/ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, 41))
        labels = tuple(n % 4 for n in range(40))
        images = labelled(Labelled(ids=ids, labels=labels, classes=ANIMALS)).named_by(spec_of(*ANIMALS))
        assert len(self.read(tmp_path, [[n] for n in labels]).of(images)) == 40
        with pytest.raises(Mismatch, match=r"0 of 40 images have their own class .* another order"):
            self.read(tmp_path, [[(n + 1) % 4] for n in labels]).of(images)

    def test_other_images_and_other_classes_are_refused(self, tmp_path, source):
        with pytest.raises(Mismatch, match="not a validation image of ImageNet"):
            judged(cycling(4, ANIMALS), spec_of(*ANIMALS), real=self.read(tmp_path, [[0]]))
        with pytest.raises(Mismatch, match=r"class number 999, .* 4 classes"):
            judged(source, spec_of(*ANIMALS), real=self.read(tmp_path, [[999]]))
        with pytest.raises(Mismatch, match="not among the 1 entries"):
            judged(source, spec_of(*ANIMALS), real=self.read(tmp_path, [[0]]))
