"""A student as a teacher: the declaration of the teacher family `run`; tower.py loads the run.

kdcache, which knows nothing of students, finds the declaration by the entry point `kd.teachers`. Installations of
the first edition name `open_run` in the group `kdcache.teachers`.
"""

from typing import TYPE_CHECKING

from kdcache.teachers.family import TeacherFamily

if TYPE_CHECKING:
    from kdcache.teachers.frozen import Candidate
    from kdcache.teachers.request import Request


def open_run(request: "Request") -> "Candidate":
    """The best weights of a run, at the size it was trained for."""
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
