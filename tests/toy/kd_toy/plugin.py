"""What this package brings for students; a teacher, a codec and images are entry points of their own."""

from pathlib import Path

from kd_toy.answering import Answering
from kd_toy.asker import Asker
from kd_toy.constraint import Bounded
from kd_toy.family import Toy
from kd_toy.leaning import Leaning
from kd_toy.objective import Spelling
from kd_toy.quiz import Quiz
from kd_toy.task import Reading
from students.base.plugins import Plugin

PLUGIN = Plugin(
    families=(Toy(), Asker()),
    objectives=(Spelling, Leaning, Answering),
    constraints=(Bounded,),
    tasks=(Reading(), Quiz()),
    presets=Path(__file__).parent / "presets",
)
