"""Read YAML without surprises: only values that JSON has, with the meaning a reader expects.

In: YAML text. Out: dict, list, str, int, float, bool, None. YAML 1.1 reads `no` as false, `1e-3` as text, `1:30` as 90 and
allows repeated keys; here `no` is text, `1e-3` is a number, `1:30` is text and a repeated key is an error. Text that is longer,
deeper or has larger numbers than any real settings is an error too.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from kdcache.base.foreign import read_small
from kdcache.base.plain_json import MOST_LEVELS, NotPlain, whole_number
from kdcache.errors import UsageError

MOST_BYTES = 1 << 18
"""Bytes of a settings file."""
MOST_VALUES = 10_000
"""Values in a settings file, keys included, also after its aliases are expanded: a hundred times as many as the
longest preset has."""
_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("merge", r"<<", "<"),
    ("float", r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", "-+0123456789."),
)


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader with the types of JSON, the numbers of YAML 1.2, and unique keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or str(tag).rpartition(":")[2] in _TAGS
    }

    _level = _values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse text that is nested too deep (before Python's stack overflows) or too long (before it takes long)."""
        self._level += 1
        self._values += 1
        if self._level > MOST_LEVELS or self._values > MOST_VALUES:
            deep = self._level > MOST_LEVELS
            reason = f"{MOST_LEVELS} groups inside one another" if deep else f"{MOST_VALUES:,} values"
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"more than {reason}", mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        """Text; an error for half a character (a lone surrogate), which cannot be encoded."""
        text = super().construct_scalar(node)
        if isinstance(text, str) and not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise _wrong(node, "half a character")
        return text

    def construct_number(self, node: Any) -> int | float:
        """A number that fits into 64 bits; an error for a value tagged as a number that does not look like one."""
        text, tag = self.construct_scalar(node), node.tag.rpartition(":")[2]
        if not isinstance(text, str) or not _NUMBERS[tag].fullmatch(text):
            raise _wrong(node, f"this is no {tag}")
        try:
            value: int | float = whole_number(text) if tag == "int" else float(text)
        except NotPlain as reason:
            raise _wrong(node, str(reason)) from None
        if not math.isfinite(value):
            raise _wrong(node, "this number is infinite")
        return value

    def construct_switch(self, node: Any) -> bool:
        """True or false; an error for a value tagged as bool that is neither."""
        text = self.construct_scalar(node)
        if not isinstance(text, str) or text.lower() not in ("true", "false"):
            raise _wrong(node, "this is neither true nor false")
        return text.lower() == "true"

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Refuse a repeated key, of which YAML would silently keep the last."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong(key, "a key must be plain text")
            if key.value in seen:
                raise _wrong(key, f"key {key.value!r} is there twice")
            seen.add(key.value)
        return node

    def get_single_node(self) -> Any:
        """Refuse aliases that multiply: nine lines can stand for a billion values, or for a value that contains itself."""
        node = super().get_single_node()
        if node is not None:
            _weigh(node, {})
        return node


def _wrong(node: Any, reason: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, reason, node.start_mark)


def _weigh(node: Any, known: dict[int, int]) -> int:
    """Number of values in a node after its aliases are expanded."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES
        inner = node.value if isinstance(node, yaml.SequenceNode) else [value for _, value in _pairs(node)]
        known[id(node)] = 1 + sum(_weigh(child, known) for child in inner)
    if known[id(node)] >= MOST_VALUES:
        raise yaml.composer.ComposerError(
            None, None, f"its aliases (*name) make more than {MOST_VALUES:,} values", node.start_mark
        )
    return known[id(node)]


def _pairs(node: Any) -> Any:
    return node.value if isinstance(node, yaml.MappingNode) else ()


for _tag, _pattern, _first in _RESOLVERS:
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [c if c != "\0" else "" for c in _first]
    )
_NUMBERS = {tag: re.compile(pattern) for tag, pattern, _ in _RESOLVERS if tag in ("int", "float")}
for _tag in _NUMBERS:
    _PlainLoader.yaml_constructors[f"tag:yaml.org,2002:{_tag}"] = _PlainLoader.construct_number
_PlainLoader.yaml_constructors["tag:yaml.org,2002:bool"] = _PlainLoader.construct_switch


def compose_yaml(text: str) -> Any:
    """The nodes of YAML text, which have the line and column of each key and value; None for an empty text."""
    return yaml.compose(text, Loader=_PlainLoader)


def parse_yaml(text: str) -> Any:
    """Plain values from YAML text; `yaml.YAMLError`, usually with line and column, when it is not plain YAML."""
    if len(text) > MOST_BYTES:
        raise yaml.YAMLError(f"it has {len(text):,} characters, at most {MOST_BYTES:,} are read")
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  (a SafeLoader, made stricter)


def read_yaml(path: Path, *, hint: str) -> Any:
    """The values in a YAML file; a UsageError that names the file when it is not plain YAML."""
    raw = read_small(path, MOST_BYTES, hint=hint, error=UsageError)
    try:
        return parse_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: {error}", hint="give a readable UTF-8 file") from error
    except yaml.YAMLError as error:
        where = " ".join(str(error).split()).replace('"<unicode string>"', str(path))
        raise UsageError(f"{path} is not YAML that kd reads: {where}", hint=hint) from error
