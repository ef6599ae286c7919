"""Write a configuration as YAML text: all keys and values, the comments of its file, and the origin of overridden values.

Input: a loaded configuration and the text of its preset or file. Output: YAML that loads to the same record, so the output of
`kd config show` can be saved as the start of one's own file.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import yaml

from kdcache.config.plain_yaml import compose_yaml

_COMMENT = re.compile(r"(?:^|\s)#\s?(.*)$")
_MOST_WIDTH = 44
"""Comments are aligned in one column, except on lines longer than this."""


@dataclass(frozen=True)
class _Written:
    """How a key is written in the file."""

    above: tuple[str, ...]
    """Comment lines directly above the key."""
    beside: str | None
    """The comment on the key's line; None without one."""
    value: str | None
    """The text of the value if it is on one line, else None."""


def about(text: str) -> str:
    """One line about a preset: the first line of the comment at its top that is no command; empty without one."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = (line.removeprefix("#").strip() for line in comment)
    return next((line for line in lines if line and not line.startswith("kd ")), "").partition(" Sources:")[0]


def yaml_text(values: Mapping[str, Any], origins: Mapping[str, str], text: str, origin: str) -> str:
    """YAML of nested `values`. `origins`: dotted key -> origin of its value; `text`: content of the file named `origin`."""
    written = dict(_keys(compose_yaml(text), text.splitlines(), ""))
    lines = [("", f"Values without a remark: {origin}"), *_lines(values, origins, written, origin, "")]
    width = max((len(left) for left, _ in lines if len(left) <= _MOST_WIDTH), default=0) + 2
    return "\n".join(
        f"{left:{width if left.strip() else 0}}# {right}".rstrip() if right else left for left, right in lines
    )


def _lines(
    values: Mapping[str, Any], origins: Mapping[str, str], written: Mapping[str, _Written], origin: str, prefix: str
) -> Iterator[tuple[str, str]]:
    """Yield (text, comment) of each line."""
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
    """A key, quoted if YAML needs it."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) and name not in ("true", "false", "null")
        else json.dumps(name)
    )


def _keys(node: Any, lines: list[str], prefix: str) -> Iterator[tuple[str, _Written]]:
    """Yield each dotted key of the file and how it is written."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name, row = f"{prefix}{key.value}", key.start_mark.line
        alias = value.start_mark.line < row  # *name: the value is written at the anchor
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
        alone = lines[row][: key.start_mark.column].strip() == ""  # inside {…} the comment belongs to the whole group
        above = tuple(_above(lines, row)) if alone else ()
        yield name, _Written(above, beside if beside and alone else None, text or None)
        yield from _keys(value, lines, f"{name}.")


def _above(lines: list[str], row: int) -> list[str]:
    found: list[str] = []
    while row and lines[row - 1].lstrip().startswith("#"):
        row -= 1
        found.insert(0, lines[row].lstrip().removeprefix("#").removeprefix(" "))
    return found
