"""Entry points of the first version, which are still supported: an opener in the group `kdcache.teachers` and, in the group
`kdcache.signals`, a function that returns the default signals of a model's cache.

Teachers of such packages were always named FAMILY:NAME and had their own preprocessing.
"""

from typing import TYPE_CHECKING

from kdcache.teachers.family import LOGITS, TeacherFamily

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SIGNALS = "kdcache.signals"


def family_of_opener(point: "EntryPoint") -> TeacherFamily:
    """Make a family from such an entry point."""
    from importlib.metadata import entry_points

    declared = next(iter(entry_points(group=SIGNALS, name=point.name)), None)
    package = point.dist.name if point.dist is not None else point.module
    return TeacherFamily(
        name=point.name,
        about=f"models of the package {package}, as {point.name}:NAME",
        opener=point.value,
        by_model=True,
        usual_signals=LOGITS if declared is None else declared.value,
        headless=None,
        own_pixels=True,
    )
