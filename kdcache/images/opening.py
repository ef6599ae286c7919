"""Open an image source from a spec or a path.

Input: a spec as a user writes it (`shapes:split=val,size=64`, `folder:DIR`, `tar:GLOB`, `hf:NAME:split`, `imagenet:DIR:val`,
`few:500:SPEC`, or just a path) or the plain values of a source (`Source.spec`). Output: the source. The code of a kind is
imported only when a source of that kind is opened.
"""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from glob import has_magic
from typing import Any

from kdcache.errors import Unavailable, UsageError
from kdcache.images.kind import SourceKind
from kdcache.images.order import NAMES
from kdcache.images.paths import SPLITS
from kdcache.images.recognise import recognise
from kdcache.images.registry import KINDS, kind_of
from kdcache.images.source import Source


def open_source(
    spec: str | Mapping[str, Any], like: Mapping[str, Any] | None = None, *, side: int | None = None
) -> Source:
    """Open the source that a spec names. This is cheap: nothing is listed yet.

    Plain values are complete. What the spec of a user leaves out is as in `like`, the given source of a plan or run, whose images
    are meant to be the same or to belong together (another split): the order in which images are listed (else `names`), and the
    side length of generated pictures (else `side`, then the usual one).
    """
    plain = dict(spec) if isinstance(spec, Mapping) else _painted(_ordered(parse(spec), like), like, side)
    name = plain.pop("kind", None)
    kind = KINDS.find(name) if isinstance(name, str) else None
    if kind is None:
        raise _unknown(str(name))
    for key, value in plain.items():
        wanted = kind.options.get(key)
        if wanted is None:
            raise UsageError(f"{name} has no option {key!r}", hint=_hint(key, kind.options, "its options are"))
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise UsageError(f"{key} of {name} is {value!r}", hint=f"it takes {_WORDS[wanted]}")
    for key in kind.needed:
        if not plain.get(key):
            raise UsageError(
                f"{name} needs a {key}", hint=f"{name}:{key.upper()}" if key == kind.subject else f"add {key}=VALUE"
            )
    return kind.make(**plain)


def _ordered(plain: dict[str, Any], like: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parsed plain values with the order to list the images in, if the kind of source has an order."""
    if "of" in plain:
        return plain | {"of": _ordered(plain["of"], like)}
    if not _has_order(plain):
        return plain
    while like is not None and isinstance(like.get("of"), Mapping):
        like = like["of"]
    return plain | {"order": like.get("order") if like is not None and _has_order(like) else NAMES}


def _painted(plain: dict[str, Any], like: Mapping[str, Any] | None, side: int | None) -> dict[str, Any]:
    """Parsed plain values with the side length of generated pictures, if they are generated at any size."""
    if "of" in plain:
        return plain | {"of": _painted(plain["of"], like, side)}
    kind = kind_of(plain)
    if kind is None or not kind.painted_side or kind.painted_side in plain:
        return plain
    while like is not None and isinstance(like.get("of"), Mapping):
        like = like["of"]
    known = like.get(kind.painted_side) if like is not None and like.get("kind") == plain["kind"] else None
    chosen = side if known is None else known
    return plain if chosen is None else plain | {kind.painted_side: chosen}


def _has_order(plain: Mapping[str, Any]) -> bool:
    kind = kind_of(plain)
    return kind is not None and "order" in kind.options


_WORDS = {str: "a word", int: "a whole number", dict: "another source"}


def parse(spec: str) -> dict[str, Any]:
    """Parse a spec into plain values: `kind` and its options."""
    name, colon, rest = spec.partition(":")
    kind = KINDS.find(name)
    if kind is not None and (colon or not os.path.exists(spec) or kind.embedded):
        own = kind.parse(rest) if kind.parse is not None and colon else _options(kind, rest)
        return {"kind": name, **own}
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


def _options(kind: SourceKind, rest: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kind.subject:
        rest, found[kind.subject] = _subject(kind, rest)
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals and kind.takes_split and "split" not in found:
            key, value = "split", item
        elif not equals:
            raise UsageError(f"{item!r} in {kind.name} is not an option", hint=f"write {kind.name}:KEY=VALUE,KEY=VALUE")
        found[key] = converted(kind.name, key, value, kind.options.get(key, str))
    return found


def _subject(kind: SourceKind, rest: str) -> tuple[str, str]:
    """Split the text after the kind into (options, subject). A path may contain colons and commas: only a split is cut off."""
    if not kind.takes_split:
        return "", rest
    if kind.subject == "name":
        head, comma, options = rest.partition(",")
        subject, _, split = head.partition(":")
        return f"{split}{comma}{options}", subject
    subject, colon, split = rest.rpartition(":")
    return (split, subject) if colon and split in SPLITS else ("", rest)


def converted(name: str, key: str, value: str, wanted: type) -> Any:
    """Convert the text of an option to its type; `name`: the kind of source, for the message."""
    try:
        return wanted(value)
    except ValueError as error:
        raise UsageError(f"{key} of {name} is {value!r}", hint=f"it takes {_WORDS[wanted]}") from error


def _unknown(name: str) -> UsageError:
    message = f"unknown image source {name!r}, and no file or folder of that name"
    return UsageError(message, hint=_hint(name, KINDS.names(), "sources are a path or"))


def _hint(name: str, known: Iterable[str], say: str) -> str:
    near = get_close_matches(name, list(known), 2, 0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"{say} {', '.join(known)}"
