"""The preprocessing of an existing cache, for a build that continues it.

Input: the existing plan and the options. Output: the preprocessing to open the teacher with, and a note when a new cache would
have a better one.
"""

from pathlib import Path

from kdcache.base.notes import Note
from kdcache.build.options import BuildOptions
from kdcache.signals.teacher import Preprocess, TeacherSpec
from kdcache.store.plan import Plan


def preprocess_so_far(there: Plan | None, options: BuildOptions, size: str | None) -> Preprocess | None:
    """The preprocessing of the existing plan, which stays even if the publisher's has changed. `size`: None for the default.

    None when there is no plan, or when another teacher or input size is requested, because then the two plans differ anyway.
    """
    from kdcache.teachers.registry import has_own_pixels, usual_size

    if there is None or has_own_pixels(there.teacher.family):
        return None
    own, (family, _, model) = there.teacher, options.teacher.partition(":")
    size = size or usual_size(options.teacher, options.weights) or own.size
    other_input = options.input_size not in (None, own.preprocess.size)
    if own.family != family or size != own.size or other_input:
        return None
    return own.preprocess if not model or Path(model).name == Path(own.size).name else None


def _made_here(teacher: TeacherSpec) -> bool:
    """Whether no publisher says how its pixels are prepared: its weights are random or of the package."""
    return teacher.weights.random or teacher.weights.source.startswith("package:")


def older_pixels_note(there: Plan | None) -> list[Note]:
    """Note that a resumed cache of the first releases keeps its preprocessing, and how to get the publisher's own pixels."""
    from kdcache.teachers.registry import has_own_pixels

    teacher = there.teacher if there else None
    if teacher is None or has_own_pixels(teacher.family) or _made_here(teacher):
        return []
    if not teacher.preprocess.geometry.of_first_releases:
        return []
    return [
        Note(
            "this cache keeps the preprocessing of its plan, which is less exact than that of kd now (docs/preprocessing.md): "
            "for the pixels of the teacher's publisher, build another cache with --out"
        )
    ]
