"""The suite for teachers, on every nano teacher, on one of timm, and on one that reads token ids."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from kdcache.errors import UsageError
from kdcache.signals.shown import Shown
from kdcache.signals.teacher import Preprocess, Weights
from kdcache.teachers.frozen import Candidate, FrozenTeacher, Output
from kdcache.teachers.registry import families, open_teacher
from kdcache.teachers.request import Request
from kdcache.teachers.teacher import Teacher
from kdcache.testing.teachers import TeacherContract, example
from kdcache.views.recipe import Plain

LONGEST = 6


class Nano(TeacherContract):
    family: str

    def open(self, signals: Sequence[str]) -> Teacher:
        return open_teacher(self.family, size="nano", signals=tuple(signals))


class TestFlorence(Nano):
    family, signals = "florence", ("logits", "embedding", "features")


class TestClip(Nano):
    family, signals = "clip", ("logits", "embedding", "features")


class TestData2Vec(Nano):
    family = "data2vec"
    signals = ("inputs", "targets", "targets-patches", "final", "features", "cls-layers", "embedding")


class TestTimm(TeacherContract):
    signals = ("logits", "embedding", "features", "layer1")

    def open(self, signals: Sequence[str]) -> Teacher:
        return open_teacher("timm:resnet18", weights="random", input_size=32, signals=tuple(signals))


class ReadingTower:
    """Counts the token ids of each row and the light of its pixels."""

    def __init__(self) -> None:
        self.network = nn.Identity()
        self.taps = {"counts": "sum and number of the token ids", "light": "mean of the pixels"}

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        raise AssertionError("it reads")

    def emit_with_tokens(
        self, pixels: Tensor, tokens: Tensor, lengths: Tensor, wanted: frozenset[str]
    ) -> dict[str, Output]:
        counts = torch.stack([tokens.sum(1), lengths], 1).float()
        return {"counts": Output(counts), "light": Output(pixels.mean((2, 3)))}


class TestReading(TeacherContract):
    signals = ("counts", "light")

    def open(self, signals: Sequence[str]) -> Teacher:
        pixels = Preprocess(size=(8, 8), geometry=Plain(fit="squash"), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        weights = Weights(source="package:reading", sha256="0" * 64)
        request = Request(
            family="reading", model=None, size=None, weights=None, head=None, signals=tuple(signals), precision="float32",
            device="cpu", input_size=None, classes=None, offered=None, templates=None, normalise=None,
        )  # fmt: skip
        return FrozenTeacher(request, Candidate(ReadingTower(), "only", weights, pixels, reads=LONGEST))

    def test_token_ids_reach_it(self, teacher: Teacher) -> None:
        shown = example(teacher.spec)
        assert shown.tokens is not None
        assert teacher.spec.reads == LONGEST
        assert torch.equal(teacher.emit(shown)["counts"][:, 0], shown.tokens.sum(1).float())

    def test_pixels_alone_are_refused(self, teacher: Teacher) -> None:
        with pytest.raises(UsageError, match="reads token ids and was shown none"):
            teacher.emit(Shown(example(teacher.spec).pixels))


def test_token_ids_are_refused_by_a_teacher_that_does_not_read() -> None:
    teacher = TestTimm().open(("embedding",))
    pixels = example(teacher.spec).pixels
    with pytest.raises(UsageError, match="reads no token ids"):
        teacher.emit(Shown(pixels, torch.zeros(len(pixels), 3, dtype=torch.int64), torch.zeros(len(pixels))))


def test_every_nano_teacher_of_this_project_is_in_the_suite() -> None:
    here = {suite.family for suite in Nano.__subclasses__()}
    assert here == {family.name for family in families() if family.packaged}
