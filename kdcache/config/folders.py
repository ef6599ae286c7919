"""Preset folders of other packages, in addition to our own.

`students` adds those of its plugins when it is imported; they are read only when a preset is searched for.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

_PROVIDERS: list[Callable[[], Iterable[Path]]] = []


def add_folders(provider: Callable[[], Iterable[Path]]) -> None:
    """Search these folders for presets too, from now on. Each is laid out like configs/: KIND/NAME.yaml."""
    if provider not in _PROVIDERS:
        _PROVIDERS.append(provider)


def other_folders() -> list[Path]:
    """The preset folders of other packages, in the order in which they were added."""
    return [folder for provider in _PROVIDERS for folder in provider()]
