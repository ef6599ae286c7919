"""Plugins of other packages: each declares a `Plugin` under the entry point group `kd.students`.

A package whose plugin cannot be imported, or is none, takes part in nothing and is one of `troubles`: everybody else's things go
on working.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from kdcache.base.plugins import Offer, load, mend, package_of
from kdcache.errors import KDError, Mismatch
from students.base.contracts import Family
from students.base.objective import ByKind, Constraint, Objective
from students.base.task import Task

GROUP = "kd.students"


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


def plugins() -> tuple[Installed, ...]:
    """All installed plugins that can be used, imported."""
    return _read(tuple(sys.path))[0]


def troubles() -> tuple[KDError, ...]:
    """Why each of the other plugins cannot be used."""
    return _read(tuple(sys.path))[1]


@cache
def _read(path: tuple[str, ...]) -> tuple[tuple[Installed, ...], tuple[KDError, ...]]:
    """Both, read again only when the import path has changed."""
    usable, broken = list[Installed](), list[KDError]()
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            usable.append(Installed(package_of(point), _loaded(point)))
        except KDError as error:
            broken.append(error)
    return tuple(usable), tuple(broken)


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
    key: str = "name"
    """Attribute by which a thing is called: `name` or `kind`."""

    def offers(self) -> Iterator[Offer]:
        """The things of all plugins, each with its package."""
        for package, plugin in plugins():
            for thing in getattr(plugin, self.what):
                yield Offer(getattr(thing, self.key), package, partial(_itself, thing))

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
        yield from _of(plugin, what, "name", partial(_no_instance, contract))
    for what, base in (("objectives", Objective), ("constraints", Constraint)):
        yield from _of(plugin, what, "kind", partial(_no_class, base))
    presets: Any = plugin.presets
    if presets is not None and not isinstance(presets, Path):
        yield f"presets is {presets!r:.60}, a {type(presets).__name__}, not a pathlib.Path"
    elif presets is not None and not presets.is_dir():
        yield f"presets is {presets}, which is no folder"


def _of(plugin: Plugin, what: str, key: str, problem: Callable[[Any], str | None]) -> Iterator[str]:
    """What is wrong with one field of a plugin."""
    things = getattr(plugin, what)
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
