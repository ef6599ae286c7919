"""What can be chosen by name: found by its file or folder in this repository, by entry points in other packages.

    kd.students, kd.teachers, kd.codecs, kd.images        the groups of entry points

Adding a thing is adding a file: no list anywhere names it. Names are known without importing anything; a module is imported
when its thing is asked for, so that one that cannot be imported breaks nothing but itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

from kdcache.errors import KDError, Unavailable, UsageError

Thing = TypeVar("Thing")


def near(name: str, names: list[str], *, otherwise: str | None = None) -> str | None:
    """The hint of a name nobody has: the one that was probably meant, or what else to do."""
    alike = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {alike[0]}?" if alike else otherwise


@dataclass(frozen=True)
class Registry(Generic[Thing]):
    """All things of one kind."""

    package: str
    """Dotted name of the package whose modules (files or folders) each declare one thing."""
    attribute: str
    """Name under which a module declares it."""
    what: str
    """What one of them is called in messages: `student family`."""
    group: str | None = None
    """Group of entry points under which other packages declare theirs; None: nobody else can."""
    others: Callable[[], Mapping[str, Thing]] | None = None
    """Things that other packages bring in a way of their own: name -> thing."""
    passed_over: frozenset[str] = field(default_factory=frozenset)
    """Modules of the package that declare none: the contract itself, shared helpers."""

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Name -> module, of the things in this repository. A module `few_shot` declares `few-shot`."""
        spec = find_spec(self.package)
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
        found = {path.stem for place in places for path in place.iterdir() if _is_module(path)}
        return {name.replace("_", "-"): f"{self.package}.{name}" for name in sorted(found - self.passed_over)}

    @cached_property
    def _points(self) -> dict[str, EntryPoint]:
        """Name -> entry point, of the things other packages bring."""
        points = {} if self.group is None else {point.name: point for point in entry_points(group=self.group)}
        return {name: points[name] for name in sorted(points)}

    @cached_property
    def _others(self) -> Mapping[str, Thing]:
        return {} if self.others is None else self.others()

    def names(self) -> list[str]:
        """Every name there is, those of this repository first: nobody else's takes the place of one of them."""
        return list(dict.fromkeys((*self._modules, *self._points, *self._others)))

    def __contains__(self, name: object) -> bool:
        return name in self._modules or name in self._points or name in self._others

    def __iter__(self) -> Iterator[tuple[str, Thing]]:
        for name in self.names():
            yield name, self.get(name)

    def get(self, name: str, *, unknown: Callable[..., KDError] = UsageError) -> Thing:
        """The thing of that name. `unknown` makes the error where there is none: a user's mistake unless a file says it."""
        if name in self._modules:
            thing: Thing = getattr(import_module(self._modules[name]), self.attribute)
            return thing
        if name in self._points:
            return self._loaded(self._points[name])
        if name in self._others:
            return self._others[name]
        names = self.names()
        hint = near(name, names, otherwise=f"there are {', '.join(names)}")
        raise unknown(f"unknown {self.what} {name!r}; there are {', '.join(names)}", hint=hint)

    def _loaded(self, point: EntryPoint) -> Thing:
        thing: Thing = load(point, self.what)
        return thing


def load(point: EntryPoint, what: str) -> Any:
    """What an entry point leads to; Unavailable, with the package that brings it, where it cannot be imported."""
    try:
        return point.load()
    except Exception as error:
        package = point.dist.name if point.dist is not None else point.value
        raise Unavailable(
            f"the {what} {point.name} of the package {package} cannot be loaded: {type(error).__name__}: {error}",
            hint=f"mend or remove that package: pip uninstall {package}",
        ) from error


def _is_module(path: Path) -> bool:
    if path.name.startswith(("_", ".")):
        return False
    return path.suffix == ".py" or (path / "__init__.py").is_file()
