"""Lists in help texts, such as the names of teachers, that are filled in only when a help text is shown.

The registries import the declarations of other packages to list them, which takes time that other commands need not spend.
"""

from collections.abc import Callable

TEACHERS, TRAINABLE, SOURCES = "<teachers>", "<trainable>", "<sources>"


def _teachers() -> list[str]:
    from kdcache.teachers.registry import teacher_names

    return teacher_names()


def _trainable() -> list[str]:
    from kdcache.teachers.registry import trainable_names

    return trainable_names()


def _sources() -> list[str]:
    from kdcache.images.registry import ways_to_write

    return ways_to_write()


_LISTS: dict[str, Callable[[], list[str]]] = {TEACHERS: _teachers, TRAINABLE: _trainable, SOURCES: _sources}


def filled(text: str) -> str:
    """A help text with its marks replaced by lists."""
    for mark, names in _LISTS.items():
        if mark in text:
            text = text.replace(mark, ", ".join(names()))
    return text
