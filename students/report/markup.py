"""Builds HTML that no content can break: every text is escaped, and only `tag` makes markup."""

from collections.abc import Iterable
from html import escape

from kdcache.base.visible import on_a_line

_EMPTY = frozenset({"img", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable[str]


def tag(name: str, /, *children: Child, **attributes: str | float) -> Markup:
    """An element. Plain text among the children is escaped, markup is kept; `class_` sets `class`, `data_x` sets `data-x`."""
    words = [f' {_word(key)}="{escape(_visible(str(value)))}"' for key, value in attributes.items()]
    if name in _EMPTY:
        return Markup(f"<{name}{''.join(words)}>")
    return Markup(f"<{name}{''.join(words)}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Several pieces of text or markup, one after the other."""
    return Markup("".join(_one(child) for child in children))


def _one(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return escape(_visible(child)) if isinstance(child, str) else join(*child)


def _visible(text: str) -> str:
    """Text without control characters: a foreign name may contain one that reverses the text after it."""
    return "\n".join(on_a_line(line) for line in text.split("\n"))


def _word(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
