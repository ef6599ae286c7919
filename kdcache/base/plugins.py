"""Registries of things chosen by name: found as files or folders in this repository, as entry points in other packages.

    kd.students, kd.teachers, kd.codecs, kd.images        the groups of entry points

To add a thing, add a file: no list names it. Names are known without importing anything; a module is imported when its thing
is requested. So a module that cannot be imported, or a name that two packages bring, breaks nothing but itself.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from kdcache.errors import KDError, Mismatch, Unavailable, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Thing = TypeVar("Thing")
OURS = "kd-cache"
"""Name of the distribution that the packages of this repository come in."""


def near(name: str, names: list[str], *, otherwise: str | None = None) -> str | None:
    """A hint for an unknown name: the most similar existing name, or `otherwise`."""
    alike = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {alike[0]}?" if alike else otherwise


def attribute(reference: str) -> Any:
    """Import the module and return the attribute of a "module:name" reference."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


@dataclass(frozen=True)
class Offer:
    """A thing that a package brings, not imported yet."""

    name: str
    package: str
    """Name of the distribution that brings it."""
    load: Callable[[], Any]


class Others(Protocol):
    """Things of other packages that do not come by entry points of their own: a package lists them in one plugin."""

    def offers(self) -> Iterable[Offer]:
        """The things, each with its package."""

    def troubles(self) -> Iterable[KDError]:
        """The errors of packages whose plugin cannot be used, so that nobody knows what they bring."""


@dataclass(frozen=True)
class Registry(Generic[Thing]):
    """All things of one kind, such as all student families, by name."""

    package: str
    """Dotted name of the package whose modules (files or folders) each declare one thing."""
    attribute: str
    """Name of the attribute in which each module declares its thing."""
    what: str
    """What messages call one such thing: `student family`."""
    group: str | None = None
    """Group of entry points under which other packages declare theirs; None: other packages cannot add any."""
    others: Others | None = None
    """More things of other packages, which do not come by their own entry points."""
    passed_over: frozenset[str] = field(default_factory=frozenset)
    """Modules of the package that declare no thing: the contract itself, shared helpers."""
    kind: type[Thing] | None = None
    """Type of every thing, which has a `name`; None: the type of what a module declares is not checked."""
    older: Mapping[str, "Callable[[EntryPoint], Thing]"] = field(default_factory=dict)
    """Entry-point groups of earlier versions, each with the function that makes a thing from such an entry point."""

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Name -> module for the things in this repository. A module `few_shot` declares `few-shot`."""
        spec = find_spec(self.package)
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
        found = {path.stem for place in places for path in place.iterdir() if _is_module(path)}
        return {name.replace("_", "-"): f"{self.package}.{name}" for name in sorted(found - self.passed_over)}

    @cached_property
    def _kept(self) -> dict[tuple[str, ...], dict[str, list[Offer]]]:
        return {}

    @cached_property
    def _loaded(self) -> dict[Offer, Thing]:
        return {}

    def _offers(self) -> dict[str, list[Offer]]:
        """Name -> the packages that bring it. Searched again only when the import path has changed."""
        path = tuple(sys.path)
        if path not in self._kept:
            offers: dict[str, list[Offer]] = {}
            for name, module in self._modules.items():
                offers[name] = [Offer(name, OURS, partial(attribute, f"{module}:{self.attribute}"))]
            for offer in self._from_elsewhere():
                here = offers.setdefault(offer.name, [])
                # A package may bring a name in today's group and in that of an earlier version: today's counts.
                if all(offer.package != other.package for other in here):
                    here.append(offer)
            self._kept[path] = offers
        return self._with_others(self._kept[path])

    def _with_others(self, offers: dict[str, list[Offer]]) -> dict[str, list[Offer]]:
        if self.others is None:
            return offers
        merged = {name: list(found) for name, found in offers.items()}
        for offer in self.others.offers():
            merged.setdefault(offer.name, []).append(offer)
        return merged

    def _from_elsewhere(self) -> Iterator[Offer]:
        from importlib.metadata import entry_points

        groups: dict[str, Callable[[EntryPoint], Any]] = {} if self.group is None else {self.group: _as_it_is}
        for group, made in (groups | dict(self.older)).items():
            for point in sorted(entry_points(group=group), key=lambda point: point.name):
                yield Offer(point.name, package_of(point), partial(made, point))

    def names(self) -> list[str]:
        """All names, those of this repository first."""
        return list(self._offers())

    def known(self) -> str:
        """All names, for the message about an unknown one."""
        return f"there are {', '.join(self.names())}{self.hidden()}"

    def hidden(self) -> str:
        """The packages that may bring an unknown name but cannot be used, as the end of a message; usually empty."""
        return "".join(f"; {trouble.message}" for trouble in self._unknowable())

    def __contains__(self, name: object) -> bool:
        return name in self._offers()

    def __iter__(self) -> Iterator[tuple[str, Thing]]:
        """Every name whose thing can be used, and the thing."""
        for name, found, _ in self._tried():
            if found is not None:
                yield name, found

    def get(self, name: str, *, unknown: Callable[..., KDError] = UsageError) -> Thing:
        """The thing of that name. `unknown` makes the error for an unknown name: UsageError, unless the name comes from a file.

        Unavailable when its package cannot be imported, Mismatch when two packages bring the name.
        """
        found = self.find(name)
        if found is None:
            names = self.names()
            raise unknown(
                f"unknown {self.what} {name!r}; {self.known()}",
                hint=near(name, names, otherwise=f"such as {names[0]}" if names else "no package brings one"),
            )
        return found

    def find(self, name: str) -> Thing | None:
        """Like `get`, but None when no package brings the name."""
        offers = self._offers().get(name, [])
        if len(offers) > 1:
            packages = " and ".join(offer.package for offer in offers)
            message = f"{packages} both bring the {self.what} {name!r}"
            raise Mismatch(message, hint=f"pip uninstall {offers[-1].package}")
        if not offers:
            return None
        (offer,) = offers
        if offer not in self._loaded:
            self._loaded[offer] = self._checked(offer, _guarded(offer.load, self.what, name, offer.package))
        return self._loaded[offer]

    def usable(self) -> list[Thing]:
        """All things of this kind whose modules can be imported."""
        return [found for _, found in self]

    def troubles(self) -> list[KDError]:
        """The errors of all names, and of all packages, that cannot be used."""
        return [*self._unknowable(), *(error for _, _, error in self._tried() if error is not None)]

    def _unknowable(self) -> list[KDError]:
        return [] if self.others is None else list(self.others.troubles())

    def _tried(self) -> Iterator[tuple[str, Thing | None, KDError | None]]:
        for name in self.names():
            try:
                yield name, self.get(name), None
            except KDError as error:
                yield name, None, error

    def _checked(self, offer: Offer, thing: Any) -> Thing:
        called = getattr(thing, "name", None)
        if self.kind is not None and (not isinstance(thing, self.kind) or called != offer.name):
            is_called = f" called {called!r}" if isinstance(thing, self.kind) else ""
            raise Mismatch(
                f"the {self.what} {offer.name} of the package {offer.package} is a {type(thing).__name__}{is_called}, "
                f"not a {self.kind.__name__} called {offer.name!r}",
                hint=mend(offer.package),
            )
        found: Thing = thing
        return found


def load(point: "EntryPoint", what: str) -> Any:
    """Import what an entry point refers to; Unavailable, naming its package, when it cannot be imported."""
    return _guarded(point.load, what, point.name, package_of(point))


def _guarded(load: Callable[[], Any], what: str, name: str, package: str) -> Any:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may also raise SystemExit, or what a compiled extension raises
        if package == OURS and isinstance(error, KDError):
            raise
        reason = " ".join(str(error).split())[:300] or "no reason given"
        raise Unavailable(
            f"the {what} {name} of the package {package} cannot be loaded: {type(error).__name__}: {reason}",
            hint=mend(package),
        ) from error


def _as_it_is(point: "EntryPoint") -> Any:
    return point.load()


def package_of(point: "EntryPoint") -> str:
    """Name of the distribution that an entry point comes with."""
    return point.dist.name if point.dist is not None else point.value


def mend(package: str) -> str:
    """The hint of an error of another package."""
    return f"repair or remove that package: pip uninstall {package}"


def _is_module(path: Path) -> bool:
    if path.name.startswith(("_", ".")):
        return False
    return path.suffix == ".py" or (path / "__init__.py").is_file()
