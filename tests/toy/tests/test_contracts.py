"""What this package brings keeps what every teacher, codec, family, objective, constraint and task of kd must keep."""

import pytest
import torch
from kd_toy.answering import Answering
from kd_toy.asker import Asker
from kd_toy.codec import ThreeBytes
from kd_toy.constraint import Bounded
from kd_toy.family import Toy
from kd_toy.greys import Greys
from kd_toy.leaning import Leaning
from kd_toy.objective import Spelling
from kd_toy.quiz import Quiz
from kd_toy.spec import ToySpec
from kd_toy.task import Reading
from kd_toy.words import POSITIONS, VOCABULARY, read

from kdcache.images import open_source
from kdcache.images.truths import Question
from kdcache.signals.padded import Padded
from kdcache.signals.signal import Signal
from kdcache.teachers.registry import open_teacher
from kdcache.testing.codecs import CodecContract
from kdcache.testing.sources import SourceContract
from kdcache.testing.teachers import TeacherContract
from kdcache.views.recipe import Plain
from students.base.objective import Sides
from students.testing.constraints import ConstraintContract
from students.testing.families import FamilyContract
from students.testing.objectives import Example, ObjectiveContract
from students.testing.tasks import TaskContract

HALF = (0.5, 0.5, 0.5)
SMALL = ToySpec(
    name="small", family="toy", input=(32, 32), mean=HALF, std=HALF, geometry=Plain(fit="squash"),
    classes=("a", "b"), width=8,
)  # fmt: skip


def words(rows):
    return Padded(torch.arange(rows * POSITIONS).view(rows, POSITIONS) % VOCABULARY, torch.arange(rows) % POSITIONS + 1)


def questions(rows):
    return [Question(question=f"what is {row}?", answers=(f"{row}",)) for row in range(rows)]


class TestTeacher(TeacherContract):
    signals = ("words", "shades", "odds")

    def open(self, signals):
        return open_teacher("toy", signals=signals)


class TestSource(SourceContract):
    @pytest.fixture
    def source(self):
        return Greys(count=6, split="val")


class TestCodec(CodecContract):
    codec = ThreeBytes


class TestFamily(FamilyContract):
    family, spec = Toy(), SMALL

    def signals(self, rows):
        return {"words": words(rows)}


class TestAsker(FamilyContract):
    family, spec = Asker(), SMALL.model_copy(update={"family": "asker"})

    def signals(self, rows):
        return {"words": words(rows)}

    def truths(self, rows):
        return {"questions": questions(rows), "text": ["a page", None, "another"][:rows]}


class TestAnswering(ObjectiveContract):
    objective = Answering()

    def sides(self):
        return Sides({}, {"answers": Signal(name="answers", shape=(256,))}, SMALL)

    def example(self):
        answers = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
        return Example({"answers": answers}, {}, {"questions": questions(3)}, 3)

    def misfits(self):
        return [(Sides({}, {"answers": Signal(name="answers", shape=(9,))}, SMALL), ("of 9", "of 256"))]


class TestObjective(ObjectiveContract):
    objective = Spelling(smoothing=0.1)

    def sides(self, vocabulary=VOCABULARY):
        theirs = Signal(name="words", shape=(POSITIONS,), kind="codes", vocabulary=vocabulary, lengths=True)
        ours = Signal(name="guesses", shape=(POSITIONS, VOCABULARY))
        return Sides({"words": theirs}, {"guesses": ours}, SMALL, source="a cache")

    def example(self):
        guesses = torch.randn(3, POSITIONS, VOCABULARY, generator=torch.Generator().manual_seed(0))
        return Example({"guesses": guesses}, {"words": words(3)}, {}, 3)

    def misfits(self):
        return [(self.sides(vocabulary=9), ("of 9", f"of {VOCABULARY}"))]


class TestLeaning(ObjectiveContract):
    objective = Leaning()

    def sides(self, vocabulary=VOCABULARY):
        theirs = Signal(name="odds", shape=(POSITIONS, vocabulary), kind="distribution", lengths=True)
        ours = Signal(name="guesses", shape=(POSITIONS, VOCABULARY))
        return Sides({"odds": theirs}, {"guesses": ours}, SMALL, source="a cache")

    def example(self):
        dice = torch.Generator().manual_seed(0)
        guesses, odds = (torch.randn(3, POSITIONS, VOCABULARY, generator=dice) for _ in range(2))
        return Example({"guesses": guesses}, {"odds": Padded(odds, words(3).lengths)}, {}, 3)

    def misfits(self):
        return [(self.sides(vocabulary=9), ("4×9", f"of {VOCABULARY}"))]


class TestConstraint(ConstraintContract):
    constraint = Bounded(limit=0.05)


class TestTask(TaskContract):
    task = Reading()

    def answer(self, head, pixels, classes):
        return read(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)[0]


class ImagesWithQuestions:
    """Images with questions, without a file beside them."""

    def __init__(self):
        self.of = open_source("shapes:split=val,count=12,size=32")

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "of"), name)

    def truths(self):
        return "questions", "text"

    def read_truths(self, names, ids):
        number = [int(image_id.rpartition("/")[2]) for image_id in ids]
        asked = [[{"question": f"{item}?", "answers": [f"{n % 3}"]} for item in range(1 + n % 4)] for n in number]
        known = {"questions": asked, "text": [f"image {n}" for n in number]}
        return {name: known[name] for name in names}


class TestQuiz(TaskContract):
    task = Quiz()

    def images(self):
        return ImagesWithQuestions()
