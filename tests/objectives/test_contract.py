"""Every objective of this repository keeps the contract that others' must keep."""

from types import SimpleNamespace

import torch

from kdcache.codecs.distribution import Logits
from kdcache.signals.signal import Signal
from students.base.objective import Sides
from students.base.truths import ClassTruth
from students.objectives.hint import Hint
from students.objectives.labels import Labels
from students.objectives.match import Match
from students.objectives.registry import OBJECTIVES
from students.testing.objectives import Example, ObjectiveContract

CLASSES = ("cat", "dog", "fish")
STUDENT = SimpleNamespace(name="student", classes=CLASSES)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sides(signal: Signal, output: Signal, **more) -> Sides:
    usual = {"spec": STUDENT, "source": "the cache", "images": "photos"}
    return Sides(signals={signal.name: signal}, outputs={output.name: output}, **{**usual, **more})


LOGITS = Signal(name="logits", shape=(3,))


class TestLabels(ObjectiveContract):
    objective = Labels(soft=0.5, hard=2.0, smoothing=0.1, temperature=2.0)

    def sides(self, **more) -> Sides:
        return sides(LOGITS, LOGITS, **{"classes": CLASSES, "truths": {"class": CLASSES}, **more})

    def example(self) -> Example:
        truth = ClassTruth(torch.tensor([0, 1, 2, -1]), torch.tensor([1, -1, -1, -1]), torch.tensor([0.5, 1, 1, 1]))
        return Example({"logits": noise(4, 3)}, {"logits": Logits(noise(4, 3, seed=1))}, {"class": truth}, 4)

    def misfits(self):
        return [
            (self.sides(classes=("cat", "dog")), ("the cache has logits of 2 classes", "the student's 3 classes")),
            (self.sides(truths={}), ("needs true classes", "the images of photos have no labels")),
            (self.sides(truths={"class": ("cat", "cow", "fish")}), ("photos have 3", "'cow' and 'dog'")),
        ]

    def test_a_class_nobody_knows_weighs_nothing(self):
        losses = Labels(soft=0.0, hard=1.0).losses(*self.example()[:3])
        assert losses["hard"][1][3].item() == 0.0

    def test_a_connected_teachers_logits_are_a_distribution(self):
        example = self.example()
        raw = {"logits": example.signals["logits"].values}
        one, other = (
            self.objective.losses(example.output, s, example.truths)["soft"][1] for s in (example.signals, raw)
        )
        assert torch.equal(one, other)

    def test_without_a_teacher_true_classes_are_left(self):
        assert Labels().without_teacher() == Labels(soft=0.0, hard=1.0)
        assert self.objective.without_teacher().hard == 2.0


class TestMatch(ObjectiveContract):
    objective = Match(signal="targets", loss="mse")

    def sides(self, layers: int = 2, **more) -> Sides:
        return sides(
            Signal(name=self.objective.signal, shape=(5, 8)), Signal(name="layers", shape=(layers, 5, 8)), **more
        )

    def example(self) -> Example:
        layers = [noise(4, 5, 8, seed=n) for n in range(2)]
        return Example({"layers": layers}, {"targets": noise(4, 5, 8, seed=9)}, {}, 4)

    def misfits(self):
        other = sides(Signal(name="targets", shape=(9, 8)), Signal(name="layers", shape=(2, 5, 8)))
        lacking = sides(Signal(name="cls-layers", shape=(5, 8)), Signal(name="layers", shape=(2, 5, 8)))
        return [(other, ("9×8", "5×8")), (lacking, ("keeps cls-layers", "matches targets"))]


class TestMatchOfClassTokens(ObjectiveContract):
    objective = Match(signal="cls-layers", loss="cosine")

    def sides(self, layers: int = 2) -> Sides:
        return sides(Signal(name="cls-layers", shape=(6, 8)), Signal(name="layers", shape=(layers, 5, 8)))

    def example(self) -> Example:
        layers = [noise(4, 5, 8, seed=n) for n in range(2)]
        return Example({"layers": layers}, {"cls-layers": noise(4, 6, 8, seed=9)}, {}, 4)

    def misfits(self):
        return [(self.sides(layers=7), ("7 blocks", "6 layers"))]


class TestHintOfVectors(ObjectiveContract):
    objective = Hint()
    theirs, ours = Signal(name="embedding", shape=(6,)), Signal(name="embedding", shape=(8,))

    def sides(self) -> Sides:
        return sides(self.theirs, self.ours)

    def example(self) -> Example:
        return Example({"embedding": noise(4, 8)}, {"embedding": noise(4, 6, seed=1)}, {}, 4)

    def misfits(self):
        return [(sides(self.theirs, Signal(name="embedding", shape=(4, 8))), ("a vector of 6", "a map of 4×8"))]


class TestHintOfMaps(ObjectiveContract):
    """The student's map has channels first and a finer grid."""

    objective = Hint(signal="features", output="features", loss="cosine")
    theirs = Signal(name="features", shape=(4, 6), grid=(2, 2))
    ours = Signal(name="features", shape=(16, 6), grid=(4, 4))

    def sides(self) -> Sides:
        return sides(self.theirs, self.ours)

    def example(self) -> Example:
        return Example({"features": noise(4, 6, 4, 4)}, {"features": noise(4, 4, 6, seed=1)}, {}, 4)

    def misfits(self):
        bare = self.theirs.model_copy(update={"grid": None})
        logits = Signal(name="logits", shape=(6,))
        return [
            (sides(bare, self.ours), ("a map of 4×6", "a map of 16×6 on a grid of 4×4", "without a grid")),
            (Sides({"features": logits}, {"features": self.ours}, STUDENT), ("a distribution of 6", "a map of 16×6")),
        ]

    def test_the_finer_grid_is_averaged_down(self):
        example, module = self.example(), self.objective.module(self.sides())
        assert not list(module.parameters()), "both are as wide: nothing leads from one to the other"
        ours, theirs = module(example.output["features"], example.signals["features"])
        blocks = example.output["features"].unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
        torch.testing.assert_close(ours, blocks.flatten(2).transpose(1, 2))
        assert torch.equal(theirs, example.signals["features"])


def test_every_objective_of_the_repository_is_tested_here():
    tested = {case.objective.kind for case in ObjectiveContract.__subclasses__()}
    assert set(OBJECTIVES.names()) <= tested
