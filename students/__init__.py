"""Students: small networks, and their training from a stream of a teacher's signals. `kdcache` never imports from here."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcache.config.folders import add_folders

if TYPE_CHECKING:
    from students.api import (
        compare_streams,
        evaluate_student,
        evaluate_teacher,
        export_student,
        finetune_student,
        list_runs,
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
    "predict",
    "resume_student",
    "train_student",
]


def _presets_of_plugins() -> Iterable[Path]:
    from students.base.plugins import plugins

    return [plugin.presets for plugin in plugins() if plugin.presets is not None]


add_folders(_presets_of_plugins)


def __getattr__(name: str) -> Any:
    """A function of `__all__`, which is imported when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("students.api"), name)
