"""What this package brings for students; a teacher, a codec and images are entry points of their own."""

from pathlib import Path

from kd_toy.constraint import Bounded
from kd_toy.family import Toy
from kd_toy.leaning import Leaning
from kd_toy.objective import Spelling
from kd_toy.task import Reading
from students.base.plugins import Plugin

PLUGIN = Plugin(
    families=(Toy(),),
    objectives=(Spelling, Leaning),
    constraints=(Bounded,),
    tasks=(Reading(),),
    presets=Path(__file__).parent / "presets",
)
