"""Read and write a logits folder of TinyViT: one epoch, with a pair of files for each rank that wrote it.

`logits_top{K}_epoch{E}/rank{r}-keys.txt` names one image a line, in the order of writing; `rank{r}-values.bin` holds a record for
each line and nothing else: int32 seed, K int16 class numbers, K float16 probabilities, 4 + 4 K bytes. The files do not tell K,
classes, teacher or completeness, so everything that can be checked is checked when a folder is opened.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kdcache.base.atomic import make_folder, staged, whole_folder
from kdcache.base.foreign import read_small
from kdcache.codecs.tinyvit import MOST_CLASSES
from kdcache.errors import Damage, UsageError

NAME = re.compile(r"logits_top(?P<k>[1-9][0-9]*)_epoch(?P<epoch>[0-9]+)")
FILE = re.compile(r"rank(?P<rank>0|[1-9][0-9]*)-(?P<part>keys\.txt|values\.bin)")
MOST_EPOCH = 10**9
MOST_KEYS_BYTES = 1 << 30
"""Largest key file of one rank, in bytes: the keys of 14 million images take half of it."""
_SHOWN = 3
NOT_A_DISTRIBUTION = 1.02
"""Largest possible sum of K probabilities that were each rounded up to float16; a larger sum is not a distribution."""


def record_dtype(k: int) -> np.dtype[Any]:
    """The packed little-endian dtype of one record with K classes."""
    return np.dtype([("seed", "<i4"), ("ids", "<i2", (k,)), ("p", "<f2", (k,))])


class Record(NamedTuple):
    """The stored logits of one view of one image."""

    key: str
    seed: int
    ids: NDArray[np.int16]
    p: NDArray[np.float16]


@dataclass(frozen=True)
class TinyViTFolder:
    """The records of one epoch, those of all ranks one after another."""

    path: Path
    k: int
    epoch: int
    keys: pa.Array
    """Arrow large_string array with one key a record; a key that two ranks hold appears twice."""
    ranks: tuple[NDArray[Any], ...]
    """Memory-mapped records of each rank."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open and check a folder. Damage names a file that is incomplete, missing or left over from another run."""
        name = _parse_name(path)
        if name is None or not path.is_dir():
            raise UsageError(f"{path} is not a logits folder", hint="they are called logits_top{K}_epoch{E}")
        k, epoch = name
        keys, ranks = zip(*(_open_rank(path, rank, k) for rank in _rank_numbers(path)), strict=True)
        _check_duplicates(path, keys)
        return cls(path, k, epoch, pa.chunked_array(keys).combine_chunks(), ranks)

    @staticmethod
    def number(path: Path) -> int:
        """The epoch number in a folder's name."""
        name = _parse_name(path)
        assert name is not None
        return name[1]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Record]:
        keys = iter(self.keys)
        for rank in self.ranks:
            for record in rank:
                yield Record(next(keys).as_py(), int(record["seed"]), record["ids"], record["p"])

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """The records at these positions of `keys`."""
        result = np.empty(len(places), record_dtype(self.k))
        ends = np.cumsum([len(rank) for rank in self.ranks])
        owners = np.searchsorted(ends, places, side="right")
        for number, rank in enumerate(self.ranks):
            here = owners == number
            result[here] = rank[places[here] - (ends[number] - len(rank))]
        return result


def find_folders(path: Path) -> list[Path]:
    """The epoch folders in a folder (or the folder itself), sorted by epoch. All must have the same K."""
    found = {name[1]: path for name in [_parse_name(path)] if name}
    if not found and path.is_dir():
        found = {name[1]: child for child in path.iterdir() if (name := _parse_name(child))}
    if not found:
        raise UsageError(f"no logits_top{{K}}_epoch{{E}} folder in {path}", hint="give the folder that holds them")
    names = sorted({child.name.partition("_epoch")[0] for child in found.values()})
    if len(names) > 1:
        raise UsageError(f"{path} mixes {' and '.join(names)}", hint="move each kind into a folder of its own")
    return [found[epoch] for epoch in sorted(found)]


def _parse_name(path: Path) -> tuple[int, int] | None:
    """K and the epoch in the name of a folder; None if it is not a logits folder."""
    if (name := NAME.fullmatch(path.name)) is None:
        return None
    k, epoch = int(name["k"]), int(name["epoch"])
    for number, most, what in ((k, MOST_CLASSES, "classes a record"), (epoch, MOST_EPOCH, "as an epoch")):
        if number > most:
            message = (
                f"{path} is not a logits folder: its name gives {number:,} {what}, more than the limit of {most:,}"
            )
            raise UsageError(message, hint="restore the name TinyViT gave it")
    return k, epoch


def _rank_numbers(path: Path) -> list[int]:
    files = [m for child in path.iterdir() if (m := FILE.fullmatch(child.name))]
    keys = {int(m["rank"]) for m in files if m["part"] == "keys.txt"}
    values = {int(m["rank"]) for m in files if m["part"] == "values.bin"}
    if not keys | values:
        raise Damage(f"{path} holds no rank files", hint="its epoch was not finished; build it again")
    count = max(keys | values) + 1
    ranks = range(count)  # the highest rank in a file name may be a billion, so no list is made
    for kind, there in (("keys.txt", keys), ("values.bin", values)):
        if missing := count - len(there):
            gone = ", ".join(f"rank{rank}-{kind}" for rank in islice((r for r in ranks if r not in there), _SHOWN))
            rest = f" and {missing - _SHOWN:,} more are missing" if missing > _SHOWN else " is missing"
            raise Damage(f"{path}: {gone}{rest}", hint="copy it again, or build this epoch again", path=str(path))
    return list(ranks)


def _open_rank(path: Path, rank: int, k: int) -> tuple[pa.Array, NDArray[Any]]:
    for name in (f"rank{rank}-keys.txt", f"rank{rank}-values.bin"):
        if not (path / name).is_file():  # opening a pipe would wait
            raise Damage(
                f"{path / name} is not a file", hint="copy it again, or build this epoch again", path=str(path / name)
            )
    raw = _read_keys(path / f"rank{rank}-keys.txt")
    values, dtype, count = path / f"rank{rank}-values.bin", record_dtype(k), raw.count(b"\n")
    size = values.stat().st_size
    if size != count * dtype.itemsize:
        raise Damage(
            f"{values} holds {size / dtype.itemsize:.6g} records of {dtype.itemsize} bytes, its keys file names {count}",
            hint=f"it is torn, or its records do not keep {k} classes; copy it again or build this epoch again",
            path=str(values),
        )
    keys = _split_keys(path / f"rank{rank}-keys.txt", raw)
    return keys, np.memmap(values, dtype, "r") if size else np.empty(0, dtype)


def _read_keys(path: Path) -> bytes:
    raw = read_small(path, MOST_KEYS_BYTES, hint="copy it again, or build this epoch again")
    if raw and not raw.endswith(b"\n"):
        raise Damage(
            f"{path} ends in the middle of a key", hint="copy it again, or build this epoch again", path=str(path)
        )
    return raw


def _split_keys(path: Path, raw: bytes) -> pa.Array:
    """The lines of a keys file, as an Arrow array."""
    data = pa.py_buffer(raw)
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n")).astype(np.int64) + 1
    offsets = np.concatenate([np.zeros(1, np.int64), ends])
    lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), data)
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid as error:
        raise Damage(f"{path} is not UTF-8 text", hint="copy it again", path=str(path)) from error
    return pc.utf8_trim_whitespace(lines)  # TinyViT's reader strips each line, too


def _check_duplicates(path: Path, keys: tuple[pa.Array, ...]) -> None:
    """Refuse duplicate keys, except the few images that pad the last round of the ranks; more mean files of another run."""
    for rank, mine in enumerate(keys):
        if (twice := _duplicated(mine)) is not None:
            raise Damage(f"{path}: rank{rank}-keys.txt names {twice!r} more than once", path=str(path))
    everyone = pa.chunked_array(keys)
    extra = len(everyone) - len(pc.unique(everyone))
    # TinyViT's sampler hands out pairs of images, so at most two images a rank are padding.
    if extra >= 2 * len(keys):
        example = _duplicated(everyone.combine_chunks())
        raise Damage(
            f"{path}: {extra} images are in the files of more than one rank, such as {example!r}",
            hint="a run with fewer ranks left older files there; remove those of the higher ranks",
            path=str(path),
        )


def _duplicated(keys: pa.Array) -> str | None:
    """A key that occurs twice; None if there is none."""
    if len(pc.unique(keys)) == len(keys):
        return None
    counts = pc.value_counts(keys)
    example: str = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"].as_py()
    return example


def folder_of(out: Path, k: int, epoch: int) -> Path:
    """The path of an epoch folder to write; UsageError when it exists already."""
    path = _folder(out, k, epoch)
    if is_there(out, k, epoch):
        raise UsageError(f"{path} is there already", hint="choose another folder, or other views")
    return path


def is_there(out: Path, k: int, epoch: int) -> bool:
    """Whether an epoch folder exists. It is written whole or not at all."""
    return _folder(out, k, epoch).exists()


def _folder(out: Path, k: int, epoch: int) -> Path:
    return out / f"logits_top{k}_epoch{epoch}"


def write_folder(out: Path, k: int, epoch: int, batches: Iterable[tuple[pa.Array, NDArray[Any]]]) -> int:
    """Write one epoch, whole or not at all, as a single rank from batches of keys and records; returns the record count."""
    path, count = folder_of(out, k, epoch), 0
    make_folder(out)
    with whole_folder(path) as new, staged(new / "rank0-keys.txt") as keys, staged(new / "rank0-values.bin") as values:
        for names, records in batches:
            assert records.dtype == record_dtype(k), "records of another K"
            keys.write("".join(f"{name}\n" for name in names.to_pylist()).encode())
            values.write(records.tobytes())
            count += len(records)
        for file in (keys, values):
            file.flush()
            file.commit()
    return count


def check_keys(keys: pa.Array) -> None:
    """UsageError for a key that could not be read back, because keys are lines of a file and are stripped."""
    odd = pc.or_(pc.not_equal(pc.utf8_trim_whitespace(keys), keys), pc.match_substring_regex(keys, r"[\r\n]"))
    odd = pc.or_(odd, pc.equal(keys, ""))
    if (first := pc.index(odd, True).as_py()) >= 0:
        message = f"the key {keys[first].as_py()!r} cannot be a line of a TinyViT keys file"
        raise UsageError(message, hint="choose keys `index`")
    if (twice := _duplicated(keys)) is not None:
        raise UsageError(f"two images would have the key {twice!r}", hint="choose keys `id` or `index`")
