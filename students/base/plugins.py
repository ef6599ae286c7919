"""Plugins of other packages: each declares a `Plugin` under the entry point group `kd.students`.

A package whose plugin cannot be imported, or is none, takes part in nothing and is one of `troubles`: everybody else's things go
on working.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from kdcache.base.plugins import Offer, load, mend, package_of
from kdcache.errors import KDError, Mismatch
from students.base.contracts import Family
from students.base.objective import ByKind, Constraint, Objective
from students.base.task import Task

GROUP = "kd.students"
CALLED = {"families": "name", "objectives": "kind", "constraints": "kind", "tasks": "name"}
"""Field of a plugin -> attribute by which its things are called."""


@dataclass(frozen=True)
class Plugin:
    """Families, objectives, constraints, tasks and presets of another package."""

    families: tuple[Any, ...] = ()
    objectives: tuple[type[Objective], ...] = ()
    constraints: tuple[type[Constraint], ...] = ()
    tasks: tuple[Any, ...] = ()
    presets: Path | None = None
    """Folder laid out like configs/ (students/, recipes/, tasks/ …) whose presets are added to ours."""


class Installed(NamedTuple):
    """A plugin and the package that brings it."""

    package: str
    plugin: Plugin


@dataclass(frozen=True)
class _Read:
    usable: list[Installed] = field(default_factory=list)
    broken: list[KDError] = field(default_factory=list)
    offers: dict[str, list[Offer]] = field(default_factory=lambda: {what: [] for what in CALLED})


_READ: dict[tuple[str, ...], _Read] = {}
"""Plugins by import path: they are read again only when it has changed."""


def plugins() -> tuple[Installed, ...]:
    """All installed plugins that can be used, imported."""
    return tuple(_read().usable)


def troubles() -> tuple[KDError, ...]:
    """Why each of the other plugins cannot be used."""
    return tuple(_read().broken)


def _read() -> _Read:
    path = tuple(sys.path)
    if path not in _READ:
        # Kept from the start: a plugin that looks into a registry while it is imported sees those that came before it.
        read = _READ[path] = _Read()
        try:
            _fill(read)
        except BaseException:
            del _READ[path]
            raise
    return _READ[path]


def _fill(read: _Read) -> None:
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            package, plugin = installed = Installed(package_of(point), _loaded(point))
        except KDError as error:
            read.broken.append(error)
            continue
        read.usable.append(installed)
        for what, key in CALLED.items():
            things = getattr(plugin, what)
            read.offers[what] += [Offer(getattr(thing, key), package, partial(_itself, thing)) for thing in things]


def _loaded(point: EntryPoint) -> Plugin:
    plugin = load(point, "plugin")
    problem = next(_problems(plugin), None)
    if problem is not None:
        package = package_of(point)
        raise Mismatch(f"the plugin {point.name} of the package {package}: {problem}", hint=mend(package))
    checked: Plugin = plugin
    return checked


@dataclass(frozen=True)
class Brought:
    """The things of one kind that plugins bring, for a registry."""

    what: str
    """Field of `Plugin`: `families`, `objectives`, `constraints` or `tasks`."""

    def offers(self) -> list[Offer]:
        """The things of all plugins, each with its package."""
        return _read().offers[self.what]

    def troubles(self) -> tuple[KDError, ...]:
        """Why plugins cannot be used that may bring things too."""
        return troubles()


def _itself(thing: Any) -> Any:
    return thing


def _problems(plugin: Any) -> Iterator[str]:
    """What is wrong with the shape of a plugin."""
    if not isinstance(plugin, Plugin):
        yield f"{plugin!r:.60} is a {type(plugin).__name__}, not a students.base.plugins.Plugin"
        return
    for what, contract in (("families", Family), ("tasks", Task)):
        yield from _of(plugin, what, partial(_no_instance, contract))
    for what, base in (("objectives", Objective), ("constraints", Constraint)):
        yield from _of(plugin, what, partial(_no_class, base))
    presets: Any = plugin.presets
    if presets is not None and not isinstance(presets, Path):
        yield f"presets is {presets!r:.60}, a {type(presets).__name__}, not a pathlib.Path"
    elif presets is not None and not presets.is_dir():
        yield f"presets is {presets}, which is no folder"


def _of(plugin: Plugin, what: str, problem: Callable[[Any], str | None]) -> Iterator[str]:
    """What is wrong with one field of a plugin."""
    things, key = getattr(plugin, what), CALLED[what]
    if not isinstance(things, tuple | list):
        yield f"{what} is a {type(things).__name__}, not a tuple"
        return
    for place, thing in enumerate(things):
        wrong = problem(thing)
        if wrong is None and not isinstance(getattr(thing, key, None), str):
            wrong = f"has no `{key}` that is a text"
        if wrong is not None:
            yield f"{what}[{place}], {thing!r:.60}, {wrong}"
    if twice := _twice(getattr(thing, key, None) for thing in things):
        yield f"{what} has two that are called {twice!r}"


def _no_instance(contract: type, thing: Any) -> str | None:
    """Why a thing does not keep a contract: what it lacks of the values that the contract declares."""
    if isinstance(thing, type):
        return f"is a class, not a {contract.__name__}: write {thing.__name__}()"
    lacking = [name for name in contract.__annotations__ if not hasattr(thing, name)]
    return f"is no {contract.__name__}: it has no {', '.join(lacking)}" if lacking else None


def _no_class(base: type[ByKind], thing: Any) -> str | None:
    good = isinstance(thing, type) and issubclass(thing, base)
    return None if good else f"is not a class derived from {base.__module__}.{base.__name__}"


def _twice(names: Iterable[Any]) -> str | None:
    seen = list[Any]()
    for name in names:
        if name in seen:
            return str(name)
        seen.append(name)
    return None
