"""Entry points of the first edition, which are still read: an opener in the group `kdcache.teachers`, and, in the group
`kdcache.signals`, what tells the signals a cache of one of its models keeps when none are named.

Families of that edition's packages were always written FAMILY:NAME and kept their own preprocessing.
"""

from typing import TYPE_CHECKING

from kdcache.teachers.family import LOGITS, TeacherFamily

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SIGNALS = "kdcache.signals"


def family_of_opener(point: "EntryPoint") -> TeacherFamily:
    """A family with what such an entry point tells of it."""
    from importlib.metadata import entry_points

    told = next(iter(entry_points(group=SIGNALS, name=point.name)), None)
    package = point.dist.name if point.dist is not None else point.module
    return TeacherFamily(
        name=point.name,
        about=f"what the package {package} opens, as {point.name}:NAME",
        opener=point.value,
        by_model=True,
        usual_signals=LOGITS if told is None else told.value,
        headless=None,
        own_pixels=True,
    )
