"""Limits for teachers that are opened from files of unknown origin.

Input: the settings beside weights, the opener of a family. Output: a teacher, or a one-line error. Settings are checked before a
library reads them, a network may have no more weights than its files have bytes, and an error inside a library is reported as
an error of the files.
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
"""Largest width, count or side length in a configuration."""
SPARE = 1 << 20
"""How many more weights than bytes in its files a network may have, because it computes some buffers itself."""
_LAYERS = re.compile(r"(layers|layer|depth|depths|blocks)$")
_SIZES = re.compile(
    r"(size|dim|dims|width|heads|groups|channels|features|embeddings|length|labels|patch|ratio|window|context)"
)


def check_settings(settings: Mapping[str, Any], path: Path) -> None:
    """Damage if a number in a configuration is larger than in any real network."""
    for name, value in _numbers(settings):
        most = MOST_LAYERS if _LAYERS.search(name) else MOST_SIZE if _SIZES.search(name) else None
        if most is not None and abs(value) > most:
            what = f"{path} is damaged: its {name} is {value:,}, at most {most:,} is allowed"
            raise Damage(what, hint="fetch the file again", path=str(path))


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield all whole numbers in a configuration with their names, or the name of the list they are in."""
    for name, value in settings.items():
        inner = value if isinstance(value, list) else [value]
        for each in inner:
            if isinstance(each, Mapping):
                yield from _numbers(each)
            elif type(each) is int:
                yield name, each


def check_size(make: Callable[[], nn.Module], nbytes: int, *, source: str) -> None:
    """Mismatch, before memory is allocated, if a network would have more weights than its files have bytes."""
    with torch.device("meta"):
        needed = sum(parameter.numel() for parameter in make().parameters())
    if needed > nbytes + SPARE:
        raise Mismatch(
            f"the settings of {source} describe a network of {needed:,} weights, but its files have only {nbytes:,} bytes",
            hint="fetch the settings and the weights again: they do not belong together",
        )
