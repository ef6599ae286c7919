"""Limits on a teacher that is opened from files of others.

Input: the settings beside weights, the opener of a family. Output: a teacher, or one line. Settings are within bounds before a
library sees them, a network has no more weights than its files have bytes, and an error
inside a library is reported as an error of the files.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdcache.errors import Damage, Mismatch

MOST_LAYERS = 1000
"""Layers, blocks or stages that a configuration may name."""
MOST_SIZE = 1 << 24
"""Any width, count or side in it."""
SPARE = 1 << 20
"""Weights beyond the bytes of the files: what a network computes from its shape alone."""
_LAYERS = re.compile(r"(layers|layer|depth|depths|blocks)$")
_SIZES = re.compile(
    r"(size|dim|dims|width|heads|groups|channels|features|embeddings|length|labels|patch|ratio|window|context)"
)


def check_settings(settings: Mapping[str, Any], path: Path) -> None:
    """Damage when a number in a configuration is beyond any network's."""
    for name, value in _numbers(settings):
        most = MOST_LAYERS if _LAYERS.search(name) else MOST_SIZE if _SIZES.search(name) else None
        if most is not None and abs(value) > most:
            what = f"{path} is damaged: its {name} is {value:,}, at most {most:,} can be"
            raise Damage(what, hint="fetch the file again", path=str(path))


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Every whole number in it, under the name it or its list has."""
    for name, value in settings.items():
        inner = value if isinstance(value, list) else [value]
        for each in inner:
            if isinstance(each, Mapping):
                yield from _numbers(each)
            elif type(each) is int:
                yield name, each


def check_size(make: Callable[[], nn.Module], nbytes: int, *, source: str) -> None:
    """Mismatch, before anything takes memory, when a network has more weights than the files of its settings have bytes."""
    with torch.device("meta"):
        needed = sum(parameter.numel() for parameter in make().parameters())
    if needed > nbytes + SPARE:
        raise Mismatch(
            f"the settings of {source} describe a network of {needed:,} weights, its files have {nbytes:,} bytes",
            hint="fetch the settings and the weights again: they do not belong together",
        )
