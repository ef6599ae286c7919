"""Small caches for tests: every kind of field, a short last part, bad rows, several views."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kdcache.codecs.codec import Fields
from kdcache.codecs.topk import TopKCodec
from kdcache.images.source import Listing
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.store import Place, Store, choose_layout, index_digest
from kdcache.store.places.local import LocalPlace
from kdcache.store.places.memory import MemoryPlace
from kdcache.store.plan import VALID, Dataset, Plan, StoredSignal, ViewPlan
from kdcache.views.recipe import Plain

ROWS, BATCH = 90, 8


@pytest.fixture(scope="module", autouse=True)
def without_fsync():
    """Nobody pulls the plug here, and flushing is most of the time. That files are flushed, and when, is in test_atomic."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(params=["local", "memory"])
def places(request, tmp_path) -> Callable[[str], Place]:
    """Makes empty places of each kind."""
    return lambda name: LocalPlace(tmp_path / name) if request.param == "local" else MemoryPlace(name)


SIGNALS = (
    (Signal(name="logits", shape=(40,)), "topk:5"),
    (Signal(name="embedding", shape=(12,)), "float32"),
    (Signal(name="features", shape=(6, 4), grid=(2, 3)), "int8"),
)


@dataclass(frozen=True)
class Made:
    """A cache, and what went into it."""

    store: Store
    payloads: dict
    bad: dict[int, str]


def make_listing(rows: int = ROWS, prefix: str = "img") -> Listing:
    ids = pa.array([f"{prefix}/{i % 7}/ü{i:05d}.jpg" for i in range(rows)], pa.large_string())
    labels = np.arange(rows, dtype=np.int32) % 7
    labels[::11] = -1
    return Listing(ids, labels, tuple(f"class {c}" for c in range(7)), f"fingerprint-{prefix}-{rows}")


def make_plan(
    *,
    backend="hdf5",
    compression=None,
    rows=ROWS,
    views=2,
    seed=0,
    signals=SIGNALS,
    batch=BATCH,
    listing=None,
    self_describing=True,
    **layout,
) -> Plan:
    listing = listing or make_listing(rows)
    plain = Plain(fit="crop")
    stored = tuple(StoredSignal(signal=s, codec=c, bytes_per_row=1.0) for s, c in signals)
    teacher = TeacherSpec(
        family="nano",
        size="tiny",
        weights=Weights(source="random:0", sha256="0" * 64),
        preprocess=Preprocess(size=(8, 8), geometry=plain, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        signals=tuple(s for s, _ in signals),
        taps={s.name: "end" for s, _ in signals},
    )
    dataset = Dataset(
        name="made",
        source={"kind": "made"},
        fingerprint=listing.fingerprint,
        rows=len(listing),
        index_digest=index_digest(listing),
        classes=listing.classes,
    )
    plan = Plan(
        teacher=teacher,
        dataset=dataset,
        views=ViewPlan(recipe=plain, seed=seed, count=views),
        signals=stored,
        batch=batch,
        layout={"backend": backend, "rows_per_part": batch, "block_rows": {}},
        versions={},
    )
    settings = {"backend": backend, "compression": compression, "target_bytes": 4000, "max_rows": 32} | layout
    settings["self_describing"] = self_describing
    coded = [field for codec in plan.codecs().values() for field in codec.fields()]
    chosen = choose_layout(coded, rows=max(rows, 8 * 32), batch=batch, **settings)
    blocks = {name: min(n, 4) for name, n in chosen.block_rows.items()}
    return plan.model_copy(update={"layout": chosen.model_copy(update={"block_rows": blocks})})


def payload_of(plan: Plan, part) -> Fields:
    """Values that depend on the part, so that no two parts are alike."""
    random = np.random.default_rng([part.view, part.number, 7])
    rows = len(plan.rows_of(part))
    made = {}
    for field in plan.fields():
        shape = field.shape if field.per_part else (rows, *field.shape)
        dtype = np.dtype(field.dtype)
        if field == VALID:
            made[field.name] = np.ones(shape, dtype)
        elif dtype.kind == "f":
            made[field.name] = random.normal(size=shape).astype(dtype)
        else:
            made[field.name] = random.integers(1, np.iinfo(dtype).max, size=shape).astype(dtype)
    for name, codec in plan.codecs().items():
        if isinstance(codec, TopKCodec):
            made[name][:, : codec.k] %= codec.signal.shape[0]  # class numbers that there are
    return made


def fill(store: Store, bad: dict[int, str]) -> dict:
    """Write every missing part of a store; returns what should be read from each part."""
    payloads = {}
    for part in store.plan.parts():
        rows = store.plan.rows_of(part)
        here = {row: why for row, why in bad.items() if row in rows}
        payload = payload_of(store.plan, part)
        if part in store.missing():
            store.write_part(part, payload, here, {"seconds": 0.5})
        for field in store.fields.values():
            if not field.per_part:
                payload[field.name][[row - rows.start for row in here]] = 0
        payloads[part] = payload
    return payloads


def copy_place(source: Place, target: Place) -> Place:
    """Every file of a cache, in another place."""
    for name, kind in source.walk():
        if kind == "file" and not name.startswith("locks/"):
            assert target.put_new(name, [source.map(name)])
    return target


def flip(place: Place, name: str, offset: int, bit: int = 0) -> None:
    """Damage one bit of a file."""
    content = bytearray(place.read(name, 1 << 30))
    content[offset] ^= 1 << bit
    place.replace(name, [content])


def make_cache(path: Path | Place, plan: Plan, *, rows: int | None = None) -> Made:
    bad = {3: "truncated", 41: "not an image"}
    store = Store.create(path, plan, make_listing(rows or plan.dataset.rows))
    return Made(store, fill(store, bad), bad)
