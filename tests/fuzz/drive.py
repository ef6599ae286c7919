"""What a user does with a cache from a stranger, one operation after the other, and what must come of it.

Every operation ends in a KDError or in rows of the planned shapes and types, which are those of the golden where nothing else
was written into them. Anything else is an `Unsound`, or an exception nobody foresaw.
"""

import functools
import json
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.caches import GOLDEN, Loose
from tests.fuzz.ends import Unsound, command, ended

MOST_VIEWS = 3
Rows = dict[tuple[int, int], dict[str, Any]]


@functools.cache
def reference(golden: str) -> Rows:
    """The stored rows of a golden: (view, row) -> field -> values."""
    from kdcache.store import Store

    store = Store.open(GOLDEN / golden)
    rows: Rows = {}
    for part in store.built():
        mapped = store.map_part(part)
        for name, field in mapped.items():
            if not field.field.per_part:
                for row, values in zip(store.plan.rows_of(part), np.array(field.whole()), strict=True):
                    rows.setdefault((part.view, row), {})[name] = values
    return rows


@dataclass(frozen=True)
class Box:
    """The folder of a case: the cache, what is made from it, and what nobody may touch."""

    root: Path
    golden: str
    loose: Loose

    @property
    def cache(self) -> Path:
        return self.root / "in/cache"

    def out(self, name: str) -> Path:
        return self.root / f"out-{name}"


def check_rows(box: Box, view: int, row: int, name: str, values: Any) -> None:
    """A row of a field as it was, where it must be."""
    before = reference(box.golden).get((view, row), {}).get(name)
    if before is None or box.loose is True or (box.loose and (view, row) in box.loose.get(name, set())):
        return
    if (
        before.dtype != values.dtype
        or before.shape != values.shape
        or before.tobytes() != np.ascontiguousarray(values).tobytes()
    ):
        raise Unsound(f"view {view}, row {row} of {name} reads as {values!r:.60}, it was {before!r:.60}")


def check_planned(cache: Any, name: str, values: Any, count: int) -> None:
    """Shape and type of rows as the plan has them."""
    field = next(field for field in cache.plan.fields() if field.name == name)
    if values.shape != (count, *field.shape) or values.dtype != np.dtype(field.dtype):
        raise Unsound(
            f"{name} has shape {values.shape} of {values.dtype}, planned are {(count, *field.shape)} of {field.dtype}"
        )


def opened(box: Box) -> None:
    from kdcache import Cache

    cache = Cache.open(box.cache)
    ids, labels = cache.ids, cache.labels
    if len(ids) != len(cache):
        raise Unsound(f"{len(ids)} ids, {len(cache)} rows")
    texts = [ids[0], ids[-1], *ids[:3]]
    if not all(isinstance(text, str) for text in texts) or len(list(ids)) != len(cache):
        raise Unsound(f"ids are {texts!r:.80}")
    if labels is not None and (labels.shape != (len(cache),) or labels.dtype != np.int32):
        raise Unsound(f"labels have shape {labels.shape} of {labels.dtype}")
    _ = repr(cache), cache.classes, cache.missing, cache.teacher


def listed(box: Box) -> None:
    """Whatever is the matter with it, `kd cache list` has an entry for it, and ends well."""
    from kdcache.store.overview import list_caches

    entries = {entry.path: entry.plain() for entry in list_caches(box.cache.parent)}
    if box.cache.is_dir() and box.cache not in entries:
        raise Unsound(f"not listed among {len(entries)}")
    json.dumps(list(entries.values()))


def got(box: Box) -> None:
    from kdcache import Cache
    from kdcache.errors import BadImage, KDError

    golden, cache = Cache.open(GOLDEN / box.golden), Cache.open(box.cache)
    last: KDError | None = None
    for image_id in (golden.ids[0], golden.ids[len(golden) // 2], golden.ids[-1], "no such image"):
        for view in range(min(cache.views, MOST_VIEWS)):
            try:
                raw, decoded = cache.get(image_id, view=view, raw=True), cache.get(image_id, view=view)
            except BadImage:
                continue
            except KDError as error:
                last = error
                continue
            if cache.ids[raw.row] != image_id:
                raise Unsound(f"{image_id} comes as row {raw.row}, whose id is {cache.ids[raw.row]}")
            for name, values in raw.items():
                check_planned(cache, name, values[None], 1)
                check_rows(box, view, raw.row, name, values)
            use(decoded)
    if last is not None and "no such image" not in last.message:
        raise last


def streamed(box: Box, **how: Any) -> None:
    from kdcache import Cache

    cache = Cache.open(box.cache)
    for view in range(min(cache.views, MOST_VIEWS)):
        for batch in cache.stream(16, views=[view], **how):
            for name, values in batch.fields.items():
                if any(field.name == name and field.per_part for field in cache.plan.fields()):
                    continue
                check_planned(cache, name, values, len(batch.rows))
                for row, one in zip(batch.rows.tolist(), values, strict=True):
                    check_rows(box, view, row, name, one)
            use(batch.decode())
            _ = batch.labels, list(batch.ids)


def use(decoded: Any) -> None:
    """As a training does."""
    for value in decoded.values():
        if hasattr(value, "lengths") and not hasattr(value, "probabilities"):  # rows that differ in length
            if not value.mask().shape == (len(value), value.values.shape[1]):
                raise Unsound(f"a mask of {value.mask().shape} for values of {value.values.shape}")
            value = value.values
        if not hasattr(value, "probabilities"):
            if value.dtype not in (np.float32, np.int64):
                raise Unsound(f"decoded to {value.dtype}")
            continue
        with np.errstate(all="ignore"):  # payloads of strangers may be no numbers
            dense = value.probabilities(temperature=2.0)
            value.probabilities(tail="bucket")
        if dense.shape != value.shape or dense.dtype != np.float32:
            raise Unsound(f"probabilities have shape {dense.shape} of {dense.dtype}")


def verified(box: Box, *more: str) -> None:
    command("cache", "verify", str(box.cache), *more)


def merged(box: Box) -> None:
    from kdcache.base.progress import Silent
    from kdcache.reshape.merge import merge

    shutil.copytree(GOLDEN / box.golden, box.root / "in/good", symlinks=True, dirs_exist_ok=True)
    try:
        merge([box.cache], box.out("merged"), progress=Silent())
    finally:
        merge([box.root / "in/good", box.cache], box.out("both"), progress=Silent())


def converted(box: Box) -> None:
    from kdcache.base.progress import Silent
    from kdcache.cache import Cache
    from kdcache.reshape.convert import convert

    backend: Any = "zarr" if Cache.open(box.cache).plan.layout.backend == "hdf5" else "hdf5"
    convert(box.cache, box.out("converted"), backend=backend, progress=Silent())
    codecs = {s.signal.name: "float32" for s in Cache.open(box.cache).plan.signals if s.signal.name != "logits"}
    convert(box.cache, box.out("recoded"), codecs=codecs, compression="zstd:1", progress=Silent())


def exported(box: Box) -> None:
    from kdcache.base.progress import Silent
    from kdcache.exchange import export_divedoc, export_tinyvit
    from kdcache.store import Store

    store = Store.open(box.cache)
    if "logits" in store.plan.codecs():
        export_tinyvit(store, box.out("tinyvit"), progress=Silent())
    dense = [s.signal.name for s in store.plan.signals if len(s.signal.shape) == 2]
    if dense:
        export_divedoc({"train": store}, box.out("divedoc") / "a.h5", signal=dense[0], progress=Silent())


def repaired(box: Box) -> None:
    command("cache", "repair", str(box.cache), "--yes")


OPERATIONS: dict[str, Callable[[Box], None]] = {
    "open": opened,
    "list": listed,
    "get": got,
    "stream": lambda box: streamed(box, shuffle=False),
    "shuffle": lambda box: streamed(box, shuffle="blocks", check=True, threads=1),
    "info": lambda box: command("cache", "info", str(box.cache)),
    "info --json": lambda box: command("cache", "info", str(box.cache), "--json"),
    "kd get": lambda box: command("cache", "get", "no such image", "--cache", str(box.cache)),
    "verify": verified,
    "verify --untrusted": lambda box: verified(box, "--untrusted"),
    "merge": merged,
    "convert": converted,
    "export": exported,
    "add-views": lambda box: command("cache", "add-views", str(box.cache), "1"),
    "repair": repaired,
    "stream again": lambda box: streamed(box, shuffle=False),
}


HEAVY = ("merge", "convert", "export", "add-views")


def chosen(line: str) -> tuple[str, ...]:
    """The operations of a case: all that are quick, and one or all of those that copy a cache, as its line has it."""
    number = zlib.crc32(line.encode())
    heavy = HEAVY if number % 5 == 0 else (HEAVY[number % len(HEAVY)],)
    return tuple(name for name in OPERATIONS if name not in HEAVY or name in heavy)


def driven(box: Box, operations: tuple[str, ...], begin: Callable[[str], None]) -> Iterator[tuple[str, str, str]]:
    """(operation, outcome, details) of each."""
    for name in operations:
        begin(name)
        yield ended(name, functools.partial(OPERATIONS[name], box))
