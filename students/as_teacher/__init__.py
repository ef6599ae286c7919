"""Declares the teacher family `run`, which makes a trained student a teacher; tower.py loads the run.

kdcache, which knows nothing of students, finds the declaration by the entry point `kd.teachers`. Installations of
the first edition name `open_run` in the group `kdcache.teachers`.
"""

from typing import TYPE_CHECKING

from kdcache.teachers.family import TeacherFamily

if TYPE_CHECKING:
    from kdcache.teachers.frozen import Candidate
    from kdcache.teachers.request import Request


def open_run(request: "Request") -> "Candidate":
    """Open a run's student with its best weights, at the input size it was trained for."""
    from students.as_teacher.tower import load_run

    return load_run(request)


FAMILY = TeacherFamily(
    name="run",
    about="a student that was trained here, as run:NAME",
    opener=open_run,
    by_model=True,
    usual_signals="students.runs.run:usual_signals",
    headless=None,
    own_pixels=True,
)
