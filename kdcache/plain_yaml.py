"""YAML without surprises: only what JSON can say, and only as a reader would take it.

In: YAML text. Out: dict, list, str, int, float, bool, None. YAML 1.1 reads `no` as false, `1e-3` as text, `1:30` as 90 and
lets a key repeat; here `no` is text, `1e-3` is a number, `1:30` is text and a repeated key is an error.
"""

import re
from typing import Any

import yaml

MOST_VALUES = 100_000
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

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Refuse a key that is there twice, of which YAML would silently keep the last."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return node

    def get_single_node(self) -> Any:
        """Refuse aliases that multiply: nine lines of them can mean a billion values, or a value inside itself."""
        node = super().get_single_node()
        if node is not None:
            _weigh(node, {})
        return node


def _weigh(node: Any, known: dict[int, int]) -> int:
    """Values in a node once its aliases are written out."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES
        inner = node.value if isinstance(node, yaml.SequenceNode) else [value for _, value in _pairs(node)]
        known[id(node)] = 1 + sum(_weigh(child, known) for child in inner)
    if known[id(node)] >= MOST_VALUES:
        raise yaml.composer.ComposerError(None, None, "its aliases (*name) never end", node.start_mark)
    return known[id(node)]


def _pairs(node: Any) -> Any:
    return node.value if isinstance(node, yaml.MappingNode) else ()


for _tag, _pattern, _first in _RESOLVERS:
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [c if c != "\0" else "" for c in _first]
    )


def compose_yaml(text: str) -> Any:
    """The nodes of YAML text, which say where each key and value stands in it; None for an empty one."""
    return yaml.compose(text, Loader=_PlainLoader)


def parse_yaml(text: str) -> Any:
    """Plain values from YAML text; `yaml.YAMLError` with line and column when it is not plain."""
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  (a SafeLoader, made stricter)
