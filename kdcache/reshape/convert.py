"""Convert a cache without running the teacher again: another backend, codec or compression, or fewer signals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kdcache.base.progress import Progress
from kdcache.build.part_buffer import along
from kdcache.codecs import make_codec
from kdcache.codecs.codec import Codec, Fields, naming_rows
from kdcache.errors import UsageError
from kdcache.store import Place, Store
from kdcache.store.layout import choose_layout
from kdcache.store.plan import VIEW_DIGEST, PartId, Plan, StoredSignal

MEASURED_ROWS = 256
"""Number of rows on which the error of a new codec is measured."""


@dataclass(frozen=True)
class Reshaped:
    """The result of converting or merging caches."""

    place: Place
    parts_written: int
    parts_missing: int
    bytes: int

    @property
    def path(self) -> Path:
        """The folder of the cache; UsageError if it does not lie in a folder of this machine."""
        return self.place.folder


def convert(
    where: Path | Place,
    out: Path | Place,
    *,
    progress: Progress,
    backend: Literal["hdf5", "zarr"] | None = None,
    codecs: dict[str, str] | None = None,
    compression: str | None = None,
    signals: Sequence[str] | None = None,
) -> Reshaped:
    """Copy a cache into another backend, codec or compression, part by part. Parts that are not built yet stay unbuilt.

    `signals`: the signals to keep; None keeps all.
    """
    old = Store.open(where)
    if dropped := sorted(set(codecs or {}) & set(old.plan.codecs()) - set(signals or old.plan.codecs())):
        raise UsageError(
            f"a codec is given for {', '.join(dropped)}, which would not be kept", hint="add it to --signal"
        )
    kept = _keeping(old.plan, signals)
    plan = _converted(kept, backend or kept.layout.backend, codecs or {}, compression)
    pairs = list(zip(kept.codecs().values(), plan.codecs().values(), strict=True))
    _try(pairs)
    plan = _measured(old, plan, pairs)
    new = Store.create_like(out, plan, old)
    with new.building():
        todo = sorted(set(old.built()) - set(new.built(sizes=True)))
        progress.start("convert", sum(len(plan.rows_of(part)) for part in todo))
        for part in todo:
            payload = _recoded(old, part, pairs)
            receipt = new.write_part(part, payload, old.bad_rows_of(part), {"converted_from": old.plan.identity})
            progress.advance(len(plan.rows_of(part)), bytes=receipt.bytes)
        progress.finish()
        new.write_rejected()
    return Reshaped(new.place, len(todo), new.missing_count, new.bytes())


def _keeping(plan: Plan, names: Sequence[str] | None) -> Plan:
    """The plan as if only these signals had been requested from the teacher."""
    if names is None:
        return plan
    _check_known(plan, names)
    if not names:
        raise UsageError("no signal would be left", hint="name the signals to keep")
    teacher = plan.teacher
    kept: dict[str, Any] = {
        "signals": tuple(signal for signal in teacher.signals if signal.name in names),
        "taps": {name: where for name, where in teacher.taps.items() if name in names},
    }
    signals = tuple(stored for stored in plan.signals if stored.signal.name in names)
    if not any(stored.signal.names_classes for stored in signals):
        kept |= {"classes": None, "head": None}  # no stored signal has classes any more
    return plan.model_copy(update={"teacher": teacher.model_copy(update=kept), "signals": signals})


def _check_known(plan: Plan, names: Iterable[str]) -> None:
    stored = [s.signal.name for s in plan.signals]
    unknown = sorted(set(names) - set(stored))
    if unknown:
        raise UsageError(f"no signal {', '.join(unknown)} in this cache; it holds {', '.join(stored)}")


def _converted(plan: Plan, backend: Literal["hdf5", "zarr"], codecs: dict[str, str], compression: str | None) -> Plan:
    _check_known(plan, codecs)
    signals = tuple(_converted_signal(stored, codecs.get(stored.signal.name)) for stored in plan.signals)
    layout = choose_layout(
        [f for s in signals for f in make_codec(s.codec, s.signal).fields()],
        rows=plan.dataset.rows,
        batch=plan.layout.rows_per_part,
        backend=backend,
        compression=compression,
        max_rows=plan.layout.rows_per_part,
        self_describing=plan.layout.self_describing,
    )
    return plan.model_copy(update={"signals": signals, "layout": layout})


def _converted_signal(stored: StoredSignal, name: str | None) -> StoredSignal:
    """The signal in another codec. The old codecs are recorded, because their errors add up."""
    if name is None or make_codec(name, stored.signal).name == stored.codec:
        return stored
    codec = make_codec(name, stored.signal)
    return StoredSignal(
        signal=stored.signal, codec=codec.name, bytes_per_row=codec.row_bytes, via=(*stored.via, stored.codec)
    )


def _measured(old: Store, plan: Plan, pairs: Sequence[tuple[Codec, Codec]]) -> Plan:
    """The plan with the error of every new codec, measured against the old values in the first built part."""
    part = next(iter(old.built()), None)
    if part is None:
        return plan
    mapped, bad = old.map_part(part), {row - old.plan.rows_of(part).start for row in old.bad_rows_of(part)}
    rows = np.array([row for row in range(len(old.plan.rows_of(part))) if row not in bad][:MEASURED_ROWS])
    if not len(rows):
        return plan
    signals = list(plan.signals)
    for place, (before, after) in enumerate(pairs):
        if before.name != after.name:
            fields = {
                f.name: mapped[f.name].whole() if f.per_part else mapped[f.name].take(rows) for f in before.fields()
            }
            with naming_rows(rows + old.plan.rows_of(part).start):
                values = before.as_values(before.decode(fields))
            signals[place] = signals[place].model_copy(update={"error": after.error(values)})
    return plan.model_copy(update={"signals": tuple(signals)})


def _try(pairs: Sequence[tuple[Codec, Codec]]) -> None:
    """Refuse a codec that cannot encode what is stored, before anything is written. It is tried on one row of zeros."""
    for before, after in pairs:
        if before.name != after.name:
            rows = {f.name: np.zeros(f.shape if f.per_part else (1, *f.shape), f.dtype) for f in before.fields()}
            with np.errstate(all="ignore"):  # zeros are not a distribution
                along((before, after), rows, ())


def _recoded(old: Store, part: PartId, pairs: list[tuple[Codec, Codec]]) -> Fields:
    """The payload of a part in the new codecs; fields of unchanged codecs are copied."""
    mapped = old.map_part(part)
    payload: Fields = {VIEW_DIGEST.name: mapped[VIEW_DIGEST.name].whole()}
    bad = [row - old.plan.rows_of(part).start for row in old.bad_rows_of(part)]
    for before, after in pairs:
        fields: Fields = {f.name: mapped[f.name].whole() for f in before.fields()}
        if before.name != after.name:
            with naming_rows(old.plan.rows_of(part)):
                fields = along((before, after), fields, bad)
        payload |= fields
    return payload
