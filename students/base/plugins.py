"""Plugins of other packages: each declares a `Plugin` under the entry point group `kd.students`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from kdcache.base.plugins import load
from students.base.objective import Constraint, Objective

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


@cache
def plugins() -> tuple[Plugin, ...]:
    """All installed plugins, imported."""
    return tuple(load(point, "plugin") for point in sorted(entry_points(group=GROUP), key=lambda point: point.name))


def brought(what: str, key: str = "name") -> Mapping[str, Any]:
    """The `families`, `objectives`, `constraints` or `tasks` of all plugins, by their `name` or `kind`."""
    return {getattr(thing, key): thing for plugin in plugins() for thing in getattr(plugin, what)}
