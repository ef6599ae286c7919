"""YAML without surprises: only what JSON can say, and only as a reader would take it.

In: YAML text. Out: dict, list, str, int, float, bool, None. YAML 1.1 reads `no` as false, `1e-3` as text, `1:30` as 90 and
lets a key repeat; here `no` is text, `1e-3` is a number, `1:30` is text and a repeated key is an error.
"""

import re
from typing import Any

import yaml

_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", "-+0123456789."),
)


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader with the types of JSON, the numbers of YAML 1.2, unique keys and no aliases."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or str(tag).rpartition(":")[2] in _TAGS
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases: a few of them can blow up to gigabytes, and no preset needs one."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a key that is there twice, of which YAML would silently keep the last."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in _RESOLVERS:
    _PlainLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [c if c != "\0" else "" for c in _first]
    )


def parse_yaml(text: str) -> Any:
    """Plain values from YAML text; `yaml.YAMLError` with line and column when it is not plain."""
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  (a SafeLoader, made stricter)
