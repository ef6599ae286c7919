"""All codecs, and the choice of one by name for a signal.

Every class with a `form` in this folder is a codec. Other packages add codecs with entry points of the group `kd.codecs`, each
named by the first word of the codec's form; they are imported only when they are named or listed. One that cannot be loaded is
refused when it is named, and left out of lists. Another package cannot replace a codec of this folder, so that existing caches
never change their meaning.
"""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from kdcache.base.figures import whole
from kdcache.base.plugins import load, package_of
from kdcache.codecs.codec import Codec
from kdcache.codecs.padded_codec import PaddedCodec
from kdcache.errors import KDError, Mismatch, Unavailable, UsageError
from kdcache.signals.signal import Signal

GROUP = "kd.codecs"
"""Group of entry points with which other packages add codecs: `halves = "their.module:Halves"`."""


class UnknownCodec(UsageError):
    """There is no codec of that name, neither here nor in an installed package."""


@lru_cache(maxsize=256)
def make_codec(text: str, signal: Signal) -> Codec:
    """Make the codec that a user or a plan names, for one signal. Codecs have no state, so the same one is returned again."""
    named = list(_named(text))
    if not named:
        near = get_close_matches(text, _words(), n=2) or get_close_matches(_first_word(text), _words(), n=2)
        every = ", ".join(each.form for each in codec_classes() if not each.imported)
        hint = f"did you mean {' or '.join(near)}?" if near else f"--codec {signal.name}=CODEC, one of {every}"
        raise UnknownCodec(f"unknown codec {text!r} for {signal.name}", hint=hint)
    kind = next((each for each in named if each.usable_for(signal) is None), None)
    if kind is None:
        choices = ", ".join(codec_names(signal)) or "another kind of signal"
        hint = f"choose one of these for {signal.name}: {choices}"
        raise UsageError(f"codec {text} {named[0].usable_for(signal)}", hint=hint)
    make: Callable[..., Codec] = kind
    inner = make(signal, _number(text)) if kind.takes_number() else make(signal)
    return PaddedCodec(inner) if signal.lengths else inner


def check_codec_name(text: str, signal: str) -> None:
    """Refuse the name of an unknown codec, or of one for imported records only; no more than the signal's name is known yet."""
    named = list(_named(text))
    if not named:
        make_codec(text, Signal(name=signal, shape=(1,)))
    if any(each.takes_number() for each in named):
        _number(text)
    if all(each.imported for each in named):
        raise UsageError(
            f"{text} is for imported records only; a build cannot store signals with it",
            hint=f"build with topk:{text.partition(':')[2]}, then export",
        )


def codec_classes() -> list[type[Codec]]:
    """All codecs: those of this folder, then those of installed packages that can be loaded."""
    return list(_each())


def _each() -> Iterator[type[Codec]]:
    """The same, one after another: other packages are imported only for who looks beyond the codecs of this folder."""
    yield from _own()
    for points in _others().values():
        try:
            yield _brought(points)
        except KDError:  # told to whoever names it
            continue


def codec_list() -> dict[str, str]:
    """Name of each codec, as users write it -> what it stores."""
    return {each.form: each.help for each in codec_classes()}


def codec_names(signal: Signal) -> tuple[str, ...]:
    """The codecs that a build may use for a signal, as users write them."""
    return tuple(each.form for each in codec_classes() if not each.imported and each.usable_for(signal) is None)


def codec_choices(signal: Signal) -> tuple[str, ...]:
    """Names of the codecs that an estimate compares for a signal."""
    fitting = (each for each in codec_classes() if not each.imported and each.usable_for(signal) is None)
    return tuple(name for each in fitting for name in each.choices_for(signal))


def default_codec(signal: Signal) -> str:
    """The codec used for a signal when the user chooses none; codecs declare this with `usual_for`."""
    return next(name for each in _each() if (name := each.usual_for(signal)) is not None)


def _named(text: str) -> Iterator[type[Codec]]:
    """The codecs with that name. There can be several, when a word means one codec for logits and another for maps."""
    word, own = _first_word(text), list(_own())
    found = [each for each in own if text == each.form or text in each.aliases]
    found += [each for each in own if each.takes_number() and word == _first_word(each.form)]
    if not found and (points := _others().get(word)) is not None:
        brought = _brought(points)
        found = [brought] if brought.takes_number() or text in (brought.form, *brought.aliases) else []
    yield from found


def _number(text: str) -> int:
    number = whole(text.partition(":")[2])
    if not number:
        raise UsageError(f"codec {text!r} needs a number of classes", hint=f"for example {_first_word(text)}:100")
    return number


def _words() -> list[str]:
    """The first words of all codec names, without importing codecs of other packages."""
    words = {word: None for each in _own() for word in (each.form, _first_word(each.form), *each.aliases)}
    return list(words | dict.fromkeys(_others()))


def _first_word(text: str) -> str:
    return text.partition(":")[0]


@lru_cache(maxsize=1)
def _own() -> tuple[type[Codec], ...]:
    """The codec classes (those with a `form`) in the modules of this folder."""
    package = __name__.rpartition(".")[0]
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [import_module(f"{package}.{name}") for name in names if f"{package}.{name}" != __name__]
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Codec)
        and value.__module__ == module.__name__
        and hasattr(value, "form")
    )


def _others() -> dict[str, list[EntryPoint]]:
    """Name -> entry points of other packages, without names that this folder has too."""
    ours = {word for each in _own() for word in (_first_word(each.form), *each.aliases)}
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in ours:
            points.setdefault(point.name, []).append(point)
    return points


def _brought(points: list[EntryPoint]) -> type[Codec]:
    """The codec of a name; Mismatch when two packages bring it."""
    if len(points) > 1:
        packages = [package_of(point) for point in points]
        message = f"{' and '.join(packages)} both bring the codec {points[0].name!r}"
        raise Mismatch(message, hint=f"pip uninstall {packages[-1]}")
    return _loaded(points[0])


@lru_cache(maxsize=64)
def _loaded(point: EntryPoint) -> type[Codec]:
    kind = load(point, "codec")
    derived = inspect.isclass(kind) and issubclass(kind, Codec) and not inspect.isabstract(kind)
    if not derived or not all(hasattr(kind, name) for name in ("form", "help", "kinds")):
        raise Unavailable(
            f"the codec {point.name} of the package {package_of(point)} ({point.value}) is not a class derived from "
            "kdcache.codecs.codec.Codec with `form`, `help` and `kinds`",
            hint="kdcache.testing.codecs tests a codec",
        )
    checked: type[Codec] = kind
    return checked
