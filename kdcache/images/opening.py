"""From a word or a path to a source.

Input: a spec as a user writes it (`shapes:split=val,size=64`, `folder:DIR`, `tar:GLOB`, `hf:NAME:split`, `imagenet:DIR:val`,
`few:500:SPEC`, or just a path) or the plain values a source says of itself. Output: the source. The classes are imported only
when they are meant.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from glob import has_magic
from inspect import signature
from typing import Any

from kdcache.errors import Unavailable, UsageError
from kdcache.images.order import NAMES
from kdcache.images.paths import SPLITS
from kdcache.images.recognise import recognise
from kdcache.images.source import Source


def _shapes(**options: Any) -> Source:
    from kdcache.images.shapes import Shapes

    return Shapes(**options)


def _folder(path: str, order: str | None = None) -> Source:
    from kdcache.images.folder import FolderSource

    return FolderSource(path, order)


def _tar(pattern: str) -> Source:
    from kdcache.images.tar import TarSource

    return TarSource(pattern)


def _hub(name: str, split: str | None = None, **options: Any) -> Source:
    from kdcache.images.hub import HubSource

    return HubSource(name, split, **options)


def _cifar10(path: str, split: str = "train") -> Source:
    from kdcache.images.cifar import CifarSource

    return CifarSource("cifar10", path, split)


def _cifar100(path: str, split: str = "train") -> Source:
    from kdcache.images.cifar import CifarSource

    return CifarSource("cifar100", path, split)


def _imagenet(path: str, split: str = "train", order: str | None = None) -> Source:
    from kdcache.images.imagenet import ImageNetSource

    return ImageNetSource(path, split, order)


def _few(of: Mapping[str, Any], count: int, seed: int = 0) -> Source:
    from kdcache.images.few import Few

    return Few(open_source(of), count, seed)


@dataclass(frozen=True)
class Kind:
    """One kind of source: how it is made and what may be said about it."""

    make: Callable[..., Source]
    options: dict[str, type]
    subject: str = ""
    """the option that stands right behind the colon"""
    takes_split: bool = False
    """a second colon may name the split"""

    @property
    def needed(self) -> list[str]:
        """Options it cannot be made without."""
        options = signature(self.make).parameters.values()
        return [one.name for one in options if one.default is one.empty and one.kind is not one.VAR_KEYWORD]


_SPLIT, _ORDER = {"split": str}, {"order": str}
KINDS = {
    "shapes": Kind(_shapes, {"split": str, "size": int, "count": int, "seed": int}),
    "folder": Kind(_folder, {"path": str, **_ORDER}, "path"),
    "tar": Kind(_tar, {"pattern": str}, "pattern"),
    "hf": Kind(
        _hub,
        {"name": str, "config": str, "revision": str, "image": str, "label": str, "id": str, **_SPLIT},
        "name",
        takes_split=True,
    ),
    "cifar10": Kind(_cifar10, {"path": str, **_SPLIT}, "path", takes_split=True),
    "cifar100": Kind(_cifar100, {"path": str, **_SPLIT}, "path", takes_split=True),
    "imagenet": Kind(_imagenet, {"path": str, **_SPLIT, **_ORDER}, "path", takes_split=True),
    "few": Kind(_few, {"of": dict, "count": int, "seed": int}, "of"),
}


def open_source(spec: str | Mapping[str, Any], like: Mapping[str, Any] | None = None) -> Source:
    """Open the source a spec names. Cheap: nothing is listed yet.

    Plain values say themselves in which order the images are listed. What a user writes is listed by names, or, with `like`, in
    the order of the source that a plan or run names, where these should be the same images or belong to them.
    """
    plain = dict(spec) if isinstance(spec, Mapping) else _ordered(parse(spec), like)
    name = plain.pop("kind", None)
    if not isinstance(name, str) or name not in KINDS:
        raise _unknown(str(name))
    kind = KINDS[name]
    for key, value in plain.items():
        wanted = kind.options.get(key)
        if wanted is None:
            raise UsageError(f"{name} has no option {key!r}", hint=_hint(key, kind.options, "its options are"))
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise UsageError(f"{key} of {name} is {value!r}", hint=f"it takes {_WORDS[wanted]}")
    for key in kind.needed:
        if not plain.get(key):
            raise UsageError(
                f"{name} needs a {key}", hint=f"{name}:{key.upper()}" if key == kind.subject else f"say its {key}"
            )
    return kind.make(**plain)


def _ordered(plain: dict[str, Any], like: Mapping[str, Any] | None) -> dict[str, Any]:
    """Plain values as parsed, with the order to list the images in, where there is more than one."""
    if "of" in plain:
        return plain | {"of": _ordered(plain["of"], like)}
    if not _has_order(plain):
        return plain
    while like is not None and isinstance(like.get("of"), Mapping):
        like = like["of"]
    return plain | {"order": like.get("order") if like is not None and _has_order(like) else NAMES}


def _has_order(plain: Mapping[str, Any]) -> bool:
    kind = KINDS.get(str(plain.get("kind")))
    return kind is not None and "order" in kind.options


_WORDS = {str: "a word", int: "a whole number", dict: "another source"}


def parse(spec: str) -> dict[str, Any]:
    """A spec as plain values: `kind` and its options."""
    name, colon, rest = spec.partition(":")
    if name == "few" and colon:
        number, _, of = rest.partition(":")
        return {"kind": "few", "count": _convert("few", "count", number, int), "of": parse(of)}
    if name in KINDS and (colon or not os.path.exists(spec) or name == "shapes"):
        return {"kind": name, **_options(name, KINDS[name], rest)}
    path = os.path.expanduser(spec)
    if os.path.exists(path):
        return recognise(path)
    if has_magic(path) or "{" in path:
        return {"kind": "tar", "pattern": spec}
    if not spec:
        raise UsageError("no image source is given", hint="name a path, or leave it out for shapes")
    if "/" in path.partition(":")[0]:
        raise Unavailable(f"no such file or folder: {os.path.abspath(path)}", hint="check the path")
    raise _unknown(name if colon else spec)


def _options(name: str, kind: Kind, rest: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kind.subject:
        rest, found[kind.subject] = _subject(kind, rest)
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals and kind.takes_split and "split" not in found:
            key, value = "split", item
        elif not equals:
            raise UsageError(f"{item!r} in {name} says nothing", hint=f"write {name}:KEY=VALUE,KEY=VALUE")
        found[key] = _convert(name, key, value, kind.options.get(key, str))
    return found


def _subject(kind: Kind, rest: str) -> tuple[str, str]:
    """What follows the subject, and the subject. A path may hold colons and commas: only a split is cut off it."""
    if not kind.takes_split:
        return "", rest
    if kind.subject == "name":
        head, comma, options = rest.partition(",")
        subject, _, split = head.partition(":")
        return f"{split}{comma}{options}", subject
    subject, colon, split = rest.rpartition(":")
    return (split, subject) if colon and split in SPLITS else ("", rest)


def _convert(name: str, key: str, value: str, wanted: type) -> Any:
    try:
        return wanted(value)
    except ValueError as error:
        raise UsageError(f"{key} of {name} is {value!r}", hint=f"it takes {_WORDS[wanted]}") from error


def _unknown(name: str) -> UsageError:
    message = f"unknown image source {name!r}, and no file or folder of that name"
    return UsageError(message, hint=_hint(name, KINDS, "sources are a path or"))


def _hint(name: str, known: Mapping[str, Any], say: str) -> str:
    near = get_close_matches(name, known, 2, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"{say} {', '.join(known)}"
