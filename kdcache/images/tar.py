"""Images in webdataset tar shards.

Input: a glob (`shards/*.tar`, also with braces: `shards/{000..127}.tar`), a tar, or a folder of tars. Output: a source whose ids
are `tar/member`, the tar named by its path below the part of the glob without wildcards. Rows are in the byte order of the tars'
names and, within a tar, in its own order, so that reading rows in order reads the disk in order.

The label of `dir/key.jpg` is in `dir/key.cls` (a number or a class name) or in `dir/key.json` under "label" or "cls".
"""

import glob
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcache.base.plain_json import NotPlain, parse_json
from kdcache.errors import Unavailable, UsageError
from kdcache.images.formats import EXTENSIONS
from kdcache.images.labels import Labels
from kdcache.images.listing import Lister
from kdcache.images.paths import existing, short_name
from kdcache.images.shard import Shard, Shards
from kdcache.images.source import Listing
from kdcache.images.tarscan import Member, Reader
from kdcache.images.truths.sidecar import Sidecar
from kdcache.images.unique import Lookup, refuse_duplicates

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_MOST_TARS = 1_000_000
"""Largest number of tar files that one pattern may match."""
_MAX_LABEL_BYTES = 1 << 24


class TarSource:
    """Images in tars, read at their offsets."""

    def __init__(self, pattern: str) -> None:
        pattern = os.path.abspath(os.path.expanduser(pattern))
        self._pattern = os.path.join(pattern, "*.tar") if os.path.isdir(pattern) else pattern
        root = os.path.dirname(re.split(r"[*?\[{]", self._pattern)[0])
        paths = sorted(_matching(self._pattern), key=os.fsencode)
        self._shards = Shards([Shard(os.path.relpath(path, root), path) for path in paths])
        self._sidecar = Sidecar(root)
        self.skipped: dict[str, int] = {}
        """Number of members that the last scan skipped, by file extension."""

    @property
    def name(self) -> str:
        """The name of the single tar, or of the folder that the tars are in."""
        if os.path.isfile(self._pattern):
            return short_name(self._pattern.removesuffix(".tar"))
        return short_name(os.path.dirname(re.split(r"[*?\[{]", self._pattern)[0]))

    def spec(self) -> dict[str, Any]:
        """The plain values from which `open_source` makes this source again."""
        return {"kind": "tar", "pattern": self._pattern}

    def scan(self) -> Listing:
        """Read the headers of all tars once; Damage if a tar is incomplete."""
        lister, labels, skipped = Lister(), Labels(self._pattern), Counter[str]()
        for shard in self._shards:
            with shard.open() as (read, stop, _):
                _list_shard(shard, shard.members(read, stop), read, lister, labels, skipped)
        self.skipped = dict(skipped)
        if not len(lister):
            raise UsageError(f"no images in {self._pattern}", hint="give the tars that hold them")
        return labels.finish(lister)

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """The bytes of one member."""
        return self._shards.read(image_id)

    def truths(self) -> tuple[str, ...]:
        """Names of the truth columns in `truths.arrow` or `truths.jsonl`, in the folder that ids are relative to."""
        return self._sidecar.columns

    def read_truths(self, names: Sequence[str], ids: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Plain values of some images, by column."""
        return self._sidecar.read(names, ids)


def _list_shard(
    shard: Shard,
    found: list[tuple[str, Member]],
    read: Reader,
    lister: Lister,
    labels: Labels,
    skipped: Counter[str],
) -> None:
    images, values_by_key = [], {}
    for name, member in found:
        ending = _ending(name)
        if _hidden(name):
            continue
        if ending in EXTENSIONS:
            images.append((name, member))
            continue
        if ending not in ("cls", "json"):
            skipped[f".{ending}" if ending else "no ending"] += 1
        elif ending == "cls" or _key(name) not in values_by_key:
            value = _label(read(member.data, min(member.size, _MAX_LABEL_BYTES)), ending, f"{shard.path}: {name}")
            if value is not None:
                values_by_key[_key(name)] = value
    refuse_duplicates(
        Lookup(name for name, _ in images),
        lambda row: f"{shard.name}/{images[row][0]}",
        lambda row: f"byte {images[row][1].header} of {shard.path}",
        "an id must name one image: pack that tar again without the second",
    )
    for name, member in images:
        image_id = f"{shard.name}/{name}"
        lister.add(image_id, member.size)
        labels.add(values_by_key.get(_key(name)), image_id)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in name.split("/"))


def _ending(name: str) -> str:
    return os.path.splitext(name)[1][1:].lower()


def _key(name: str) -> str:
    """A path up to the first dot of its last component."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _label(raw: bytes, ending: str, place: str) -> object:
    if ending == "cls":
        text = raw.decode("utf-8", "replace").strip()
        return int(text) if re.fullmatch(r"-?\d{1,10}", text) else text or None
    try:
        record = parse_json(raw)
    except NotPlain as reason:
        raise UsageError(f"{place} cannot be used: {reason}", hint="pack that tar again") from reason
    return record.get("label", record.get("cls")) if isinstance(record, dict) else None


def _matching(pattern: str) -> list[str]:
    """The tars that a glob with braces matches; Unavailable if one of them does not exist."""
    found: list[str] = []
    for one in _expand(pattern):
        if glob.has_magic(one):
            found += glob.glob(one, recursive=True)
        else:
            found.append(existing(one, "tar"))
    if not found:
        raise Unavailable(
            f"no tar matches {pattern}", hint="check the path; quote the glob so that the shell leaves it"
        )
    for path in found:
        if os.fsencode(path).decode("utf-8", "replace") != path:
            raise UsageError(f"file name {os.fsencode(path)!r} is not UTF-8", hint="rename it")
    return list(dict.fromkeys(found))


def _expand(pattern: str) -> list[str]:
    """Expand `{000..127}` and `{a,b}` in a pattern."""
    pieces = _BRACES.split(pattern)
    choices = [[piece] if place % 2 == 0 else _choices(piece) for place, piece in enumerate(pieces)]
    if math.prod(map(len, choices)) > _MOST_TARS:
        raise UsageError(f"{pattern} names more than {_MOST_TARS:,} tars", hint="name a folder of tars, or use *")
    return ["".join(parts) for parts in product(*choices)]


def _choices(inner: str) -> list[str]:
    if numbers := _RANGE.fullmatch(inner):
        first, last = numbers.groups()
        if int(last) - int(first) >= _MOST_TARS:
            raise UsageError(f"{{{inner}}} names more than {_MOST_TARS:,} tars", hint="name a folder of tars, or use *")
        return [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    return inner.split(",")
