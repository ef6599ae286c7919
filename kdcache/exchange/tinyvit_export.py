"""Export a cache as logits folders of TinyViT, one epoch folder per view.

TinyViT draws its augmentation from the seed in a record. Views of kd are not made by TinyViT's generator, so no seed can
reproduce them there. Records of a cache imported from TinyViT keep their seeds; records of any other cache have the view number
as seed, and the images must be rendered by kd (`kdcache.views.view_pixels`, with the recipe and the seed in `kd-export.json`),
with TinyViT's own training transforms turned off.

From logits of all classes, a record is bit for bit what TinyViT itself would have saved.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.progress import Progress
from kdcache.codecs.codec import Codec, Fields
from kdcache.codecs.distribution import Logits, TopK
from kdcache.codecs.tinyvit import MOST_CLASSES, TinyVitCodec
from kdcache.codecs.topk import TopKCodec, largest
from kdcache.errors import Incomplete, UsageError
from kdcache.exchange.tinyvit_folder import check_keys, folder_of, is_there, record_dtype, write_folder
from kdcache.exchange.tinyvit_keys import Keys, keys_of
from kdcache.images.order import is_by_names
from kdcache.store import Store
from kdcache.views.recipe import Foreign

ABOUT = "kd-export.json"
ROWS_TOGETHER = 1024
OTHER_NUMBERS = (
    "the keys are row numbers of this cache, whose images are not in the order of torchvision's ImageFolder: TinyViT would take "
    "the records of other images; --keys id names them"
)
THEIR_SEEDS = "the seeds are TinyViT's own: its augmentation renders the views that the teacher saw"
OUR_VIEWS = (
    "the seed of a record is the number of a kd view, not a seed of TinyViT's augmentation: render the images with kd "
    "(recipe and seed are in kd-export.json) and turn TinyViT's training transforms off"
)


@dataclass(frozen=True)
class TinyVitExport:
    """The result of an export."""

    path: Path
    k: int
    epochs: tuple[int, ...]
    records: int
    left_out: int
    """Number of rows of unreadable images. They are not exported, because TinyViT's format cannot mark them."""
    notes: tuple[str, ...]


def export_tinyvit(
    store: Store,
    out: Path,
    *,
    progress: Progress,
    views: Sequence[int] | None = None,
    k: int | None = None,
    keys: Keys | None = None,
) -> TinyVitExport:
    """Write views of a cache as `out/logits_top{K}_epoch{E}`: view v becomes epoch v, or the epoch it was imported from.

    `k`: classes in a record; by default as many as are stored. `keys`: how images are named; by default by image id, or as
    they were named when imported.
    """
    recipe = store.plan.views.recipe
    imported = isinstance(recipe, Foreign)
    chosen = _built_views(store, views)
    codec, k = _codec_and_k(store, k)
    epochs = tuple(recipe.epochs[view] if isinstance(recipe, Foreign) else view for view in chosen)
    kind = keys or (recipe.keys if isinstance(recipe, Foreign) else "id")
    names = keys_of(store.index.ids.batch.column(0), kind)
    check_keys(names)
    about = _about(store, k, codec.signal.classes, imported)
    begun = _written(about | {"unfinished": {"epochs": epochs, "keys": kind}})
    stopped = (out / ABOUT).is_file() and (out / ABOUT).read_bytes() == begun
    todo = {
        epoch: view
        for view, epoch in zip(chosen, epochs, strict=True)
        if not (stopped and is_there(out, k, epoch)) and folder_of(out, k, epoch)
    }
    make_folder(out)
    write_file(out / ABOUT, [begun])
    progress.start("export", store.plan.dataset.rows * len(todo))
    for epoch, view in todo.items():
        write_folder(out, k, epoch, _batches(store, view, codec, k, names, progress))
    write_file(out / ABOUT, [_written(about)])
    progress.finish()
    left_out = sum(len(store.bad_rows_of(part)) for part in store.plan.parts() if part.view in chosen)
    records = store.plan.dataset.rows * len(chosen) - left_out
    notes = [THEIR_SEEDS if imported else OUR_VIEWS, f"TinyViT reads them with DISTILL.LOGITS_TOPK {k}"]
    if kind == "index" and not imported and not is_by_names(store.index.ids):
        notes.append(OTHER_NUMBERS)
    if left_out:
        notes.append(f"{left_out:,} rows have no record: their images could not be read")
    return TinyVitExport(out, k, epochs, records, left_out, tuple(notes))


def _written(about: dict[str, Any]) -> bytes:
    return json.dumps(about, indent=2, ensure_ascii=False).encode()


def _built_views(store: Store, views: Sequence[int] | None) -> list[int]:
    count = store.plan.views.count
    chosen = list(range(count)) if views is None else list(dict.fromkeys(views))
    if strangers := [view for view in chosen if not 0 <= view < count]:
        raise UsageError(f"no view {strangers[0]} in {store.place}", hint=f"it has views 0 to {count - 1}")
    unbuilt = [part for view in chosen for part in store.missing_of(view)]
    if unbuilt:
        message = f"{len(unbuilt)} parts of {store.place} are not built yet, such as {unbuilt[0]}"
        raise Incomplete(message, hint="finish the build, or export the views that are finished")
    return chosen


def _codec_and_k(store: Store, k: int | None) -> tuple[Codec, int]:
    signal = store.plan.first_of_classes()
    if signal is None:
        raise UsageError(f"{store.place} holds no logits", hint="TinyViT's folders hold nothing else")
    codec, classes = store.plan.codecs()[signal.name], signal.classes
    if classes > MOST_CLASSES:
        message = f"{store.place} has {classes:,} classes; TinyViT's class numbers end at {MOST_CLASSES - 1:,}"
        raise UsageError(message, hint="such a cache cannot be written in their format")
    if isinstance(codec, TinyVitCodec) and k not in (None, codec.k):
        raise UsageError(f"imported records keep {codec.k} classes, not {k}", hint="leave the number out")
    stored = codec.k if isinstance(codec, TinyVitCodec | TopKCodec) else classes
    if k is not None and k > stored:
        raise UsageError(f"{store.place} holds only {stored:,} classes a row, not {k:,}", hint=f"choose 1 to {stored}")
    return codec, k or stored


def _batches(
    store: Store, view: int, codec: Codec, k: int, names: pa.Array, progress: Progress
) -> Iterator[tuple[pa.Array, NDArray[Any]]]:
    """Yield keys and records of a view, part by part, without the rows of unreadable images."""
    for part in store.plan.parts_of(view):
        mapped, rows = store.map_part(part), store.plan.rows_of(part)
        fields = {field.name: mapped[field.name].whole()[mapped.good] for field in codec.fields()}
        yield names.slice(rows.start, len(rows)).filter(pa.array(mapped.good)), _records(codec, fields, k, view)
        progress.advance(len(rows))


def _records(codec: Codec, fields: Fields, k: int, seed: int) -> NDArray[Any]:
    if isinstance(codec, TinyVitCodec):
        return np.ascontiguousarray(fields[codec.signal.name]).view(record_dtype(k))[:, 0]
    decoded = codec.decode(fields)
    ids, p = _likeliest(decoded.values, k) if isinstance(decoded, Logits) else _fewer(codec, decoded, k)
    records = np.zeros(len(ids), record_dtype(k))
    records["seed"] = seed
    records["ids"] = ids
    records["p"] = p
    return records


def _likeliest(logits: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Class numbers and probabilities, computed from logits and rounded exactly as TinyViT does."""
    import torch

    ids, p = np.empty((len(logits), k), np.int64), np.empty((len(logits), k), np.float16)
    for first in range(0, len(logits), ROWS_TOGETHER):
        rows = slice(first, first + ROWS_TOGETHER)
        chances = torch.from_numpy(logits[rows]).softmax(-1)
        best = largest(chances, k)
        ids[rows], p[rows] = best.numpy(), chances.gather(-1, best).half().numpy()
    return ids, p


def _fewer(codec: Codec, top: TopK, k: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Class numbers and probabilities from decoded top-k records, which may have more classes than the export needs."""
    if codec.name != f"topk:{k}":
        fewer = TopKCodec(codec.signal, k)
        top = fewer.decode(fewer.recode(top))
    return top.ids, half(top.sparse(1.0, "none").p)


def half(p: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round decoded probabilities to the nearest float16, or down in rows whose sum would exceed 1.

    TinyViT spreads 1 - sum over the other classes, so a sum above 1 would give them negative probabilities.
    """
    nearest = p.astype(np.float16)
    above = nearest.sum(-1, dtype=np.float64) > 1
    lifted = above[:, None] & (nearest.astype(np.float32) > p)
    nearest[lifted] = np.nextafter(nearest[lifted], np.float16(0))
    return nearest


def _about(store: Store, k: int, classes: int, imported: bool) -> dict[str, Any]:
    plan = store.plan
    return {
        "seeds": THEIR_SEEDS if imported else OUR_VIEWS,
        "k": k,
        "classes": classes,
        "class_names": plan.teacher.classes,
        "cache": plan.identity,
        "teacher": plan.teacher.without_paths().plain(),
        "views": plan.views.plain(),
        "dataset": {"name": plan.dataset.name, "fingerprint": plan.dataset.fingerprint, "rows": plan.dataset.rows},
    }
