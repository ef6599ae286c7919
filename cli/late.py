"""Lists in help texts that are looked up when the help is shown, not when the command line starts.

What can be plugged in is known to the registries; asking them imports the declarations of other packages, which no command pays
for that does not show them.
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
    """A help text with its lists."""
    for mark, names in _LISTS.items():
        if mark in text:
            text = text.replace(mark, ", ".join(names()))
    return text
