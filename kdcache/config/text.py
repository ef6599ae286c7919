"""A configuration as YAML text: every key with its value, the comments of its file, and where other values came from.

Input: a loaded configuration and the text of its preset or file. Output: YAML that loads to the same record, so that what
`kd config show` prints is a file to begin one's own with.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from kdcache.config.plain_yaml import compose_yaml

_COMMENT = re.compile(r"(?:^|\s)#\s?(.*)$")
_MOST_WIDTH = 44
"""Comments begin in one column, unless a line is longer than this."""


@dataclass(frozen=True)
class _Written:
    """How a key stands in the file."""

    above: tuple[str, ...]
    """Whole lines of comment right above it."""
    beside: str | None
    """The comment on its line."""
    value: str | None
    """The text of its value, where that is on one line."""


def yaml_text(values: Mapping[str, Any], origins: Mapping[str, str], text: str, origin: str) -> str:
    """YAML of nested `values`. `origins`: dotted key -> where it came from; `text`: the file that is called `origin`."""
    written = dict(_keys(compose_yaml(text), text.splitlines(), ""))
    lines = [("", f"Values without a remark: {origin}"), *_lines(values, origins, written, origin, "")]
    width = max((len(left) for left, _ in lines if len(left) <= _MOST_WIDTH), default=0) + 2
    return "\n".join(
        f"{left:{width if left.strip() else 0}}# {right}".rstrip() if right else left for left, right in lines
    )


def _lines(
    values: Mapping[str, Any], origins: Mapping[str, str], written: Mapping[str, _Written], origin: str, prefix: str
) -> Iterator[tuple[str, str]]:
    """(text, comment) line by line."""
    indent = "  " * prefix.count(".")
    for name, value in values.items():
        key = f"{prefix}{name}"
        file = written.get(key, _Written((), None, None))
        yield from ((indent, line) for line in file.above)
        if isinstance(value, dict) and value:
            yield f"{indent}{_plain(name)}:", file.beside or ""
            yield from _lines(value, origins, written, origin, f"{key}.")
            continue
        unchanged = origins[key] == origin
        shown = file.value if unchanged and file.value is not None else json.dumps(value, ensure_ascii=False)
        yield f"{indent}{_plain(name)}: {shown}", (file.beside or "") if unchanged else origins[key]


def _plain(name: str) -> str:
    """A key as YAML reads it back."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) and name not in ("true", "false", "null")
        else json.dumps(name)
    )


def _keys(node: Any, lines: list[str], prefix: str) -> Iterator[tuple[str, _Written]]:
    """Dotted key -> how it is written, of all keys of the file."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name, row = f"{prefix}{key.value}", key.start_mark.line
        alias = value.start_mark.line < row  # *name: the value stands where the anchor is
        simple = not alias and value.start_mark.line == value.end_mark.line and not isinstance(value, yaml.MappingNode)
        block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        rests = []
        if alias or block or value.start_mark.line > row:
            rests.append(lines[row][key.end_mark.column :])
        if not alias and not block:
            rests.append(lines[value.end_mark.line][value.end_mark.column :])
        beside = "; ".join(found.group(1) for rest in rests if (found := _COMMENT.search(rest)))
        text = (
            lines[row][value.start_mark.column : value.end_mark.column]
            if simple and value.start_mark.line == row
            else ""
        )
        alone = lines[row][: key.start_mark.column].strip() == ""  # not inside {…}, whose comment is that of the group
        above = tuple(_above(lines, row)) if alone else ()
        yield name, _Written(above, beside if beside and alone else None, text or None)
        yield from _keys(value, lines, f"{name}.")


def _above(lines: list[str], row: int) -> list[str]:
    found: list[str] = []
    while row and lines[row - 1].lstrip().startswith("#"):
        row -= 1
        found.insert(0, lines[row].lstrip().removeprefix("#").removeprefix(" "))
    return found
