"""Import logits folders of TinyViT as a cache.

The records are kept byte for byte (codec `tinyvit:K`), so an export gives the same bytes back. Notes tell what they lack: the
teacher and the tails at temperatures other than 1 are unknown, and only TinyViT's own augmentation can render the views from
the seed in each record (numpy's PCG64, TinyViT's copy of timm's transforms). Such a cache can be read by image id, streamed,
compared and exported; kd refuses to train on it or to replay it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdcache.base.progress import Progress
from kdcache.base.versions import library_versions
from kdcache.codecs import make_codec
from kdcache.errors import Damage
from kdcache.exchange.tinyvit_folder import NOT_A_DISTRIBUTION, TinyViTFolder, find_folders
from kdcache.exchange.tinyvit_keys import Keys, places_of, recognised, refuse_doubt
from kdcache.images.source import Listing, Source
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.store import Store, choose_layout
from kdcache.store.plan import VIEW_DIGEST, Dataset, PartId, Plan, StoredSignal, ViewPlan
from kdcache.views.recipe import Foreign

UNKNOWN = "unknown"
ROWS_TOGETHER = 256
CHECKED_TOGETHER = 1 << 16


@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    path: Path
    epochs: tuple[int, ...]
    rows: int
    without_record: int
    """Number of rows, over all views, without a record in the folders; they are marked as bad."""
    notes: tuple[str, ...]


def import_tinyvit(
    folder: Path,
    out: Path,
    source: Source,
    *,
    classes: int,
    preprocess: Preprocess,
    progress: Progress,
    keys: Keys | Literal["auto"] = "auto",
    backend: Literal["hdf5", "zarr"] = "hdf5",
) -> Imported:
    """Make a cache from one epoch folder, or from all epoch folders in `folder`; an interrupted import is resumed.

    `classes` and `preprocess` are not in the files, so the caller must know them. `keys`: how the files name images. All
    records are checked before the cache is created, so a failed import leaves nothing in the way of the next one.
    """
    paths, listing = find_folders(folder), source.scan()
    first = TinyViTFolder.open(paths[0])
    kind = recognised(first.keys, listing) if keys == "auto" else keys
    if kind == "index":
        refuse_doubt(listing, source.name)
    epochs = tuple(TinyViTFolder.number(path) for path in paths)
    recipe = Foreign(project="tinyvit", keys=kind, epochs=epochs)
    there = Store.plan_at(out)
    teacher = _unknown_teacher(folder.name, first.k, classes, _as_there(preprocess, there), listing)
    plan = _plan(source, listing, teacher, recipe, first.k, backend, there)
    _check_epochs([paths[view] for view in _views_to_come(out, plan)], listing, kind, classes, progress)
    store = Store.create(out, plan, listing)
    with store.building():
        todo = store.missing(sizes=True)
        progress.start("import", sum(len(store.plan.rows_of(part)) for part in todo))
        for view, path in enumerate(paths):
            parts = [part for part in todo if part.view == view]
            if parts:
                _import_epoch(store, parts, TinyViTFolder.open(path), listing, kind, progress)
        store.write_rejected()
        progress.finish()
    lacking = sum(len(store.bad_rows_of(part)) for part in store.plan.parts())
    return Imported(out, epochs, len(listing), lacking, _notes(lacking))


def _as_there(preprocess: Preprocess, there: Plan | None) -> Preprocess:
    """The preprocessing of the existing plan if it differs only in the geometry, which earlier versions did not record."""
    if there is None or there.teacher.preprocess.model_copy(update={"geometry": preprocess.geometry}) != preprocess:
        return preprocess
    return there.teacher.preprocess


def _unknown_teacher(name: str, k: int, classes: int, preprocess: Preprocess, listing: Listing) -> TeacherSpec:
    known = listing.classes if listing.classes is not None and len(listing.classes) == classes else None
    return TeacherSpec(
        family="tinyvit-logits",
        size=UNKNOWN,
        weights=Weights(source=f"imported:{name}", sha256=UNKNOWN),
        preprocess=preprocess,
        signals=(Signal(name="logits", shape=(classes,)),),
        taps={"logits": f"top-{k} softmax probabilities as TinyViT saved them"},
        classes=known,
        precision=UNKNOWN,
    )


def _plan(
    source: Source,
    listing: Listing,
    teacher: TeacherSpec,
    recipe: Foreign,
    k: int,
    backend: Literal["hdf5", "zarr"],
    there: Plan | None,
) -> Plan:
    """The plan of an import; a resumed import keeps the layout of the existing plan, `there`."""
    codec = make_codec(f"tinyvit:{k}", teacher.signal("logits"))
    layout = choose_layout(
        codec.fields(),
        rows=len(listing),
        batch=ROWS_TOGETHER,
        backend=backend,
        self_describing=there is None or there.layout.self_describing,
    )
    return Plan(
        teacher=teacher,
        dataset=Dataset.of(source, listing),
        views=ViewPlan(recipe=recipe, seed=0, count=len(recipe.epochs)),
        signals=(StoredSignal(signal=codec.signal, codec=codec.name, bytes_per_row=codec.fields()[0].row_bytes),),
        batch=ROWS_TOGETHER,
        layout=layout,
        versions=library_versions(),
    )


def _views_to_come(out: Path, plan: Plan) -> list[int]:
    """The views to import: all, or those that are missing when the same import was interrupted."""
    there = Store.plan_at(out)
    if there is not None and there.identity == plan.identity:
        return sorted({part.view for part in Store.open(out).missing(sizes=True)})
    return list(range(plan.views.count))


def _check_epochs(paths: list[Path], listing: Listing, keys: Keys, classes: int, progress: Progress) -> None:
    """Check that every record belongs to an image of the source and is a distribution over the classes."""
    progress.start("check", len(paths) * len(listing))
    for path in paths:
        epoch = TinyViTFolder.open(path)
        places_of(epoch.keys, listing.ids, keys)
        for start in range(0, len(epoch), CHECKED_TOGETHER):
            places = np.arange(start, min(start + CHECKED_TOGETHER, len(epoch)))
            _check_records(epoch, places, classes, paths)
            progress.advance(len(places))
    progress.finish()


def _import_epoch(
    store: Store, parts: list[PartId], epoch: TinyViTFolder, listing: Listing, keys: Keys, progress: Progress
) -> None:
    places = places_of(epoch.keys, listing.ids, keys)
    for part in parts:
        rows = store.plan.rows_of(part)
        mine = places[rows.start : rows.stop]
        there = mine >= 0
        records = epoch.take(mine[there])
        words = np.zeros((len(rows), 2 + 2 * epoch.k), "<u2")
        words[there] = records.view("<u2").reshape(len(records), 2 + 2 * epoch.k)
        payload = {"logits": words, VIEW_DIGEST.name: np.zeros(len(rows), VIEW_DIGEST.dtype)}
        bad = {rows.start + int(i): f"no record in {epoch.path.name}" for i in np.flatnonzero(~there)}
        receipt = store.write_part(part, payload, bad, {"imported_from": epoch.path.name})
        progress.advance(len(rows), bytes=receipt.bytes, rejected=len(bad))


def _check_records(epoch: TinyViTFolder, places: NDArray[np.int64], classes: int, paths: list[Path]) -> None:
    """Damage for invalid class numbers or probabilities, which show that K or the number of classes is wrong."""
    records = epoch.take(places)
    ids, p = records["ids"], records["p"].astype(np.float32)
    sums = p.sum(-1)
    problems = (
        (ids.min(-1, initial=0) < 0, "a negative class number: their 16 bits overflowed, and the class is lost"),
        (~((p >= 0) & (p <= 1)).all(-1), "a probability outside of 0..1"),
        ((sums > NOT_A_DISTRIBUTION) | ~(sums > 0), "probabilities that do not sum to something above 0 and at most 1"),
        (ids.max(-1, initial=0) >= classes, f"a class number beyond the {classes} classes given"),
    )
    for wrong, what in problems:
        if wrong.any():
            which = int(np.argmax(wrong))
            key = epoch.keys[int(places[which])].as_py()
            hint = f"move {epoch.path.name} elsewhere to import the epochs beside it"
            if wrong is problems[-1][0]:
                most = max(
                    int(rank["ids"].max()) for path in paths for rank in TinyViTFolder.open(path).ranks if len(rank)
                )
                hint = f"their class numbers go up to {most:,}: --class-count {most + 1} or more"
            raise Damage(f"{epoch.path}: the record of {key!r} has {what}", hint=hint, path=str(epoch.path))


def _notes(lacking: int) -> tuple[str, ...]:
    notes = [
        "the views can only be rendered by TinyViT from the seeds in the records: kd reads, streams and exports this cache, "
        "but does not train on it",
        "the teacher is not known from such files, and its tail only at temperature 1",
    ]
    if lacking:
        notes.append(f"{lacking:,} rows have no record and are marked as bad")
    return tuple(notes)
