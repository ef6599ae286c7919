"""Small caches and folders of other projects, and readers that do what theirs do."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess
from kdcache.store import Store
from kdcache.views.recipe import Plain
from tests.store.making import make_listing, make_plan

CLIP_LIKE = Preprocess(size=(224, 224), geometry=Plain(fit="crop"), mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28))


@dataclass(frozen=True)
class Pictures:
    """A source of images that are never read."""

    ids: tuple[str, ...]
    name: str = "pictures"
    order_doubt: str | None = None

    def spec(self):
        return {"kind": "pictures"}

    def scan(self) -> Listing:
        ids = pa.array(self.ids, pa.large_string())
        return Listing(ids, None, None, f"fingerprint-{len(self.ids)}", self.order_doubt)

    def read(self, image_id):
        raise AssertionError("an import reads no images")


def build(path: Path, signal: Signal, codec: str, values, *, bad=(), views=1, backend="hdf5", prefix="img") -> Store:
    """A finished cache of one signal; `values` is (views, rows, *shape)."""
    rows = values.shape[1]
    listing = make_listing(rows, prefix)
    plan = make_plan(rows=rows, views=views, signals=((signal, codec),), backend=backend, listing=listing)
    store = Store.create(path, plan, listing)
    coder = plan.codecs()[signal.name]
    for part in plan.parts():
        here = plan.rows_of(part)
        payload = coder.encode(torch.as_tensor(values[part.view, here.start : here.stop]))
        payload["view_digest"] = np.ones(len(here), "<u4")
        store.write_part(part, payload, {row: "broken" for row in bad if row in here})
    return store


def their_records(keys, k, classes, seed=0, spread=4.0):
    """What TinyViT's writer would put on disk for these keys: key -> bytes of one record."""
    random = np.random.default_rng(seed)
    records = {}
    for key in keys:
        z = torch.from_numpy(random.normal(size=classes).astype(np.float32) * spread)
        p, ids = z.softmax(-1).topk(k)
        number = np.int32(random.integers(0, 1 << 31))
        records[key] = number.tobytes() + ids.numpy().astype(np.int16).tobytes() + p.half().numpy().tobytes()
    return records


def write_theirs(path: Path, *ranks: dict[str, bytes]) -> Path:
    """A folder as several ranks of TinyViT leave it."""
    path.mkdir(parents=True)
    for rank, records in enumerate(ranks):
        (path / f"rank{rank}-keys.txt").write_text("".join(f"{key}\n" for key in records))
        (path / f"rank{rank}-values.bin").write_bytes(b"".join(records.values()))
    return path


def read_as_they_do(path: Path, k: int, rank: int = 0) -> dict[str, bytes]:
    """Every key their reader can find from a rank, with the bytes it would get."""
    size = 4 + 2 * k + 2 * k
    names = [name.removesuffix("-values.bin") for name in os.listdir(path) if name.endswith("-values.bin")]
    names = sorted(names, key=lambda name: (int(name[4:]) - rank) % len(names))
    found: dict[str, bytes] = {}
    for name in names:
        with open(path / f"{name}-keys.txt") as keys, open(path / f"{name}-values.bin", "rb") as values:
            for number, line in enumerate(keys.readlines()):
                values.seek(size * number)
                found.setdefault(line.strip(), values.read(size))
    return found


def parse_as_they_do(record: bytes, k: int):
    """Seed, class numbers and probabilities of one record."""
    seed = int(np.frombuffer(record[:4], np.int32)[0])
    return seed, np.frombuffer(record[4 : 4 + 2 * k], np.int16), np.frombuffer(record[4 + 2 * k :], np.float16)
