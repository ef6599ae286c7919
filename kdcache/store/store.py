"""The store of one cache: plan, index and parts in a place, with the same small interface for all backends.

Reading needs only the receipts and the files they name; the HDF5 and Zarr libraries are used only for writing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from pydantic import JsonValue

from kdcache.base.lazy import lazy
from kdcache.base.limits import RECORD_BYTES
from kdcache.codecs.codec import Field, Fields
from kdcache.errors import Damage, Incomplete, Mismatch
from kdcache.images.rejected import Rejected, parse_rejected, rejected_lines
from kdcache.images.source import Listing, Source
from kdcache.store import frame
from kdcache.store.arrow import check_size
from kdcache.store.backends.choose import backend_of
from kdcache.store.blocks import cut_payload
from kdcache.store.differences import described, differences
from kdcache.store.index import Index, write_index
from kdcache.store.locks import build_lock, turn
from kdcache.store.parts.check import Finding, check_files, finding_of
from kdcache.store.parts.commit import commit_part, copy_files, receipt_of
from kdcache.store.parts.geometry import Geometry
from kdcache.store.parts.receipt import FOREIGN, MEND, Receipt, opened
from kdcache.store.parts.there import built_parts, links, names_of, receipt_name, receipts_there, strays, views_there
from kdcache.store.places.choose import place_at
from kdcache.store.places.place import Place
from kdcache.store.plan import PartId, Plan
from kdcache.store.reading.open_parts import OpenParts
from kdcache.store.reading.part import MappedPart
from kdcache.store.same_images import expect_images

REJECTED = "rejected.jsonl"
REJECTED_BYTES = 1 << 30
"""Largest rejected.jsonl that is read, in bytes: enough for eight million images with the usual reasons."""


class Store:
    """A cache in a place: a folder given by its path, or any other `Place`. Use the class methods to open or create one."""

    def __init__(self, place: Place, plan: Plan) -> None:
        self.place = place
        self.plan = plan
        self.identity = plan.identity
        self.fields: dict[str, Field] = {field.name: field for field in plan.fields()}
        self._backend = backend_of(plan)
        self._geometry = Geometry(plan, self.fields, self._backend)
        self._open = OpenParts()

    def __reduce__(self) -> tuple[object, tuple[Place]]:
        return Store.open, (self.place,)

    @classmethod
    def create(cls, where: Path | Place, plan: Plan, listing: Listing, there: Self | None = None) -> Self:
        """Create a cache, or open it if the place holds the same one (`there`, if it is open already); else Mismatch."""
        place = place_at(where)
        frame.create_frame(place, plan, partial(write_index, listing), None if there is None else there.plan)
        return there or cls.open(place)

    @classmethod
    def create_like(cls, where: Path | Place, plan: Plan, other: "Store") -> Self:
        """The same for the images of another cache, whose index is copied: the labels read from it may not give it again."""
        place = place_at(where)
        frame.create_frame(place, plan, other.index.copy_into)
        return cls.open(place)

    @classmethod
    def open(cls, where: Path | Place) -> Self:
        """Open a cache and check its plan. Index and parts are checked when they are first used."""
        place = place_at(where)
        return cls(place, frame.read_plan(place))

    @classmethod
    def at(cls, where: Path | Place | None) -> Self | None:
        """Open the cache at `where`; None if there is none."""
        there = where is not None and place_at(where).kind(frame.PLAN) in ("file", "link")
        return cls.open(where) if where is not None and there else None

    @classmethod
    def plan_at(cls, where: Path | Place | None) -> Plan | None:
        """The plan of the cache at `where`; None if there is none."""
        store = cls.at(where)
        return None if store is None else store.plan

    @property
    def path(self) -> Path:
        """The folder of the cache; UsageError if it does not lie in a folder of this machine."""
        return self.place.folder

    @lazy
    def index(self) -> Index:
        """Image ids, labels and look-up; checked once against the digest in the plan."""
        return frame.open_index(self.place, self.plan)

    def expect_rows(self) -> None:
        """Damage if the index is too short for the rows of the plan; for readers that need no ids. The file is not read."""
        check_size(self.place, frame.INDEX, self.plan.dataset.rows)

    def expect_images(self, source: Source, listing: Listing, *, given: str | None) -> None:
        """Drift or Mismatch if these are not the images of the plan. `given`: the location that the user passed, if any."""
        anew = "build a new cache of these images with another --out"
        owner = str(self.place)
        expect_images(self.plan.dataset, source, listing, owner=owner, given=given, option="--data", anew=anew)

    @contextmanager
    def building(self, share: tuple[int, int] | None = None) -> Iterator[None]:
        """Hold the build lock of the cache or of one share. With that of the cache, leftovers of killed builds are removed."""
        with build_lock(self.place, share):
            if share is None:
                self.place.sweep()
            yield

    def receipt(self, part: PartId) -> Receipt | None:
        """The receipt of a part; None if the part is not built, Damage if the receipt was changed."""
        path = self.place.at(receipt_name(part))
        try:
            raw = self.place.read(receipt_name(part), RECORD_BYTES)
        except FileNotFoundError:
            return None
        receipt = Receipt.load(part, path, raw)
        if receipt.plan != self.identity:
            message = f"{path} belongs to another cache: its plan is {receipt.plan}, this one is {self.identity}"
            raise Mismatch(message, hint=FOREIGN, path=path, part=str(part))
        if receipt.id != part:
            raise Damage(f"{path} is the receipt of part {receipt.id}", hint=MEND, path=path, part=str(part))
        self._geometry.hold(part, receipt)
        return receipt

    @property
    def missing_count(self) -> int:
        """Number of parts that are still to build, without making a list of them."""
        return len(self.plan.parts()) - len(self.built())

    def missing_of(self, view: int) -> list[PartId]:
        """Parts of one view that are still to build."""
        there = set(self.built(view))
        return [part for part in self.plan.parts_of(view) if part not in there]

    def missing(self, *, sizes: bool = False) -> list[PartId]:
        """Parts that are still to build: those without a receipt or without one of their files. Only names are checked.

        With `sizes`, used for builds, receipts are read too: a file of another length than when it was written counts as missing.
        """
        there = set(self.built(sizes=sizes))
        return [part for part in self.plan.parts() if part not in there]

    def built(self, view: int | None = None, *, sizes: bool = False) -> list[PartId]:
        """Parts that are not missing; of one view, or of all views."""
        parts = built_parts(self.place, self.plan, self.fields, view)
        return [part for part in parts if not sizes or self._has_its_length(part)]

    def _has_its_length(self, part: PartId) -> bool:
        receipt = self.receipt(part)
        return receipt is not None and all(self._size(file.path) == file.nbytes for file in receipt.files)

    def _size(self, name: str) -> int | None:
        """Length of a file of a part; None if it does not exist or is not a plain file."""
        try:
            return self.place.size(name)
        except (FileNotFoundError, Damage):
            return None

    def write_part(
        self, part: PartId, payload: Fields, bad: dict[int, str], facts: dict[str, JsonValue] | None = None
    ) -> Receipt:
        """Write a part: all rows of every field. `bad`: rows of the dataset -> reasons; these rows are written as zeros."""
        frame.restore_view_files(self.place, self.plan, part.view)
        cuts = cut_payload(self.plan, tuple(self.fields.values()), self.plan.rows_of(part), payload, bad)
        images = self._backend.images(self.plan, part, cuts)
        self._open.forget(part)
        return commit_part(
            self.place, images, lambda files: receipt_of(self.plan, part, cuts, images, files, bad, facts or {})
        )

    def copy_part(self, part: PartId, source: "Store") -> Receipt:
        """Copy a part that was built elsewhere for the same plan, with its receipt; every byte is checked."""
        receipt = source.receipt(part)
        if receipt is None:
            raise Incomplete(f"part {part} of {source.place} is not built", part=str(part))
        if receipt.plan != self.identity:
            found = described(differences(source.plan.essence(), self.plan.essence()))
            raise Mismatch(f"{source.place} and {self.place} are different caches: {found}", part=str(part))
        frame.restore_view_files(self.place, self.plan, part.view)
        self._open.forget(part)
        return copy_files(source.place, self.place, receipt)

    def drop_part(self, part: PartId) -> None:
        """Remove a part: the receipt first, so that a half-removed part does not count as built."""
        self._open.forget(part)
        for name in names_of(self.plan, self.fields, part):
            self.place.remove(name)

    def with_receipt(self) -> list[PartId]:
        """Parts that have a receipt, whether or not their files exist."""
        return list(receipts_there(self.place, self.plan))

    def map_part(self, part: PartId) -> MappedPart:
        """The arrays of a part, mapped read-only and checked when first read; an error if the part is not built."""
        return self._open.get(part, self._map)

    def _map(self, part: PartId, **options: int) -> MappedPart:
        receipt = self.receipt(part)
        if receipt is None:
            raise Damage(f"part {part} of {self.place} is not built", hint="run the build again", part=str(part))
        return MappedPart(receipt, self.plan.layout, self.fields, self.place, **options)

    def bad_rows_of(self, part: PartId) -> dict[int, str]:
        """Rows of a built part whose images could not be used -> reasons."""
        receipt = self.receipt(part)
        return {} if receipt is None else receipt.bad

    def bad_rows(self) -> dict[int, str]:
        """Rows of all built parts whose images could not be used, in order -> the first reason of each."""
        found: dict[int, str] = {}
        for part in self.with_receipt():
            for row, reason in self.bad_rows_of(part).items():
                found.setdefault(row, reason)
        return dict(sorted(found.items()))

    def write_rejected(self) -> int:
        """Write the list of images that could not be used, over all parts built so far. The caller holds the build lock."""
        with turn(self.place):  # holders of other shares write this file too
            bad = self.bad_rows()
            entries = (Rejected(image_id=self.index[row], row=row, reason=reason) for row, reason in bad.items())
            self.place.replace(REJECTED, rejected_lines(entries))
        return len(bad)

    def rejected(self) -> list[Rejected]:
        """The images listed by the last `write_rejected`; empty if there was none."""
        try:
            raw = self.place.read(REJECTED, REJECTED_BYTES)
        except FileNotFoundError:
            return []
        return parse_rejected(raw, self.place.at(REJECTED))

    def bytes(self) -> int:
        """Bytes of all built parts."""
        receipts = (self.receipt(part) for part in self.with_receipt())
        return sum(receipt.bytes for receipt in receipts if receipt is not None)

    def plan_views(self, count: int) -> Plan:
        """Add views to the plan; built parts stay unchanged. The caller holds the build lock."""
        views = self.plan.views.model_copy(update={"count": count})
        plan = self.plan.model_copy(update={"views": views})
        frame.replace_plan(self.place, plan)
        self.plan = plan
        return plan

    def verify_part(self, part: PartId) -> list[Finding]:
        """Check every byte of a built part against its receipt; no findings if the part is not built."""
        rows = self.plan.rows_of(part)
        try:
            receipt = self.receipt(part)
        except (Damage, Mismatch) as error:
            return [finding_of(error, part, rows)]
        if receipt is None:
            return []
        return check_files(self.place, receipt)

    def verify_unopened(self) -> list[Finding]:
        """Check, before anything is mapped, what a stranger may have left: links, pipes, receipts that contradict the plan."""
        return [*links(self.place), *(found for part in self.with_receipt() for found in self._verify_geometry(part))]

    def _verify_geometry(self, part: PartId) -> Iterator[Finding]:
        """Check the receipt of a part against the plan, and the lengths of its files against the receipt."""
        try:
            receipt = self.receipt(part)
            for file in receipt.files if receipt is not None else ():
                with opened(str(part), self.place, file.path, file.nbytes):
                    pass
        except (Damage, Mismatch) as error:
            yield finding_of(error, part, self.plan.rows_of(part))

    def verify_blocks(self, part: PartId) -> list[Finding]:
        """Check that all compressed blocks of a part decompress, one at a time, to the size in the plan."""
        try:
            for field in self._map(part, most_bytes=1).values():
                field.check_each()
        except Damage as error:
            return [finding_of(error, part, self.plan.rows_of(part))]
        return []

    def verify_frame(self) -> list[Finding]:
        """Check the index and the files of the views, and find names that do not belong to the cache."""
        return [*frame.frame_findings(self.place, self.plan), *strays(self.place, self.plan, self.fields)]

    def restore_frame(self) -> None:
        """Write the files that depend only on the plan again."""
        for view in views_there(self.place, self.plan):
            if any(receipts_there(self.place, self.plan, view)):
                frame.restore_view_files(self.place, self.plan, view)
