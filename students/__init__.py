"""Students: small networks, and their training from a stream of a teacher's signals. `kdcache` never imports from here."""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kdcache.config.folders import Folder, add_folders
from kdcache.errors import KDError

if TYPE_CHECKING:
    from students.api import (
        compare_streams,
        evaluate_student,
        evaluate_teacher,
        export_student,
        finetune_student,
        list_runs,
        place_job,
        predict,
        resume_student,
        train_student,
    )

__all__ = [
    "compare_streams",
    "evaluate_student",
    "evaluate_teacher",
    "export_student",
    "finetune_student",
    "list_runs",
    "place_job",
    "predict",
    "resume_student",
    "train_student",
]


def _presets_of_plugins() -> Iterable[Folder]:
    from students.base.plugins import plugins

    return [Folder(package, plugin.presets) for package, plugin in plugins() if plugin.presets is not None]


def _broken_plugins() -> Iterable[KDError]:
    from students.base.plugins import troubles

    return troubles()


add_folders(_presets_of_plugins, _broken_plugins)


def __getattr__(name: str) -> Any:
    """A function of `__all__`, which is imported when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("students.api"), name)
