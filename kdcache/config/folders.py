"""Preset folders of other packages, in addition to our own.

`students` adds those of its plugins when it is imported; they are read only when a preset is searched for.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from kdcache.errors import KDError


class Folder(NamedTuple):
    """A folder of presets, laid out like configs/: KIND/NAME.yaml."""

    package: str
    """Name of the distribution that brings it."""
    path: Path


class _Provider(NamedTuple):
    folders: Callable[[], Iterable[Folder]]
    troubles: Callable[[], Iterable[KDError]]


_PROVIDERS: list[_Provider] = []


def add_folders(folders: Callable[[], Iterable[Folder]], troubles: Callable[[], Iterable[KDError]]) -> None:
    """Search these folders for presets too, from now on. `troubles`: of packages that cannot say which folder is theirs."""
    provider = _Provider(folders, troubles)
    if provider not in _PROVIDERS:
        _PROVIDERS.append(provider)


def other_folders() -> list[Folder]:
    """The preset folders of other packages, in the order in which they were added."""
    return list(dict.fromkeys(folder for provider in _PROVIDERS for folder in provider.folders()))


def folder_troubles() -> list[KDError]:
    """The errors of packages that may bring presets, but cannot be used."""
    return [trouble for provider in _PROVIDERS for trouble in provider.troubles()]
