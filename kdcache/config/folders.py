"""Where presets lie beside our own: folders that other packages bring.

`students` adds those of its plugins when it is imported; they are looked at when a preset is searched for, not before.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

_PROVIDERS: list[Callable[[], Iterable[Path]]] = []


def add_folders(provider: Callable[[], Iterable[Path]]) -> None:
    """From now on presets are searched for in these folders too, each laid out like configs/: KIND/NAME.yaml."""
    if provider not in _PROVIDERS:
        _PROVIDERS.append(provider)


def other_folders() -> list[Path]:
    """The folders other packages bring, in the order in which they were added."""
    return [folder for provider in _PROVIDERS for folder in provider()]
