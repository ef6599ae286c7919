"""The store of one cache: plan, index and parts in a folder, behind one small interface for every backend.

Reading needs nothing but the receipts and the files they name; HDF5 and Zarr libraries are only asked to write.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import JsonValue

from kdcache.base import beneath
from kdcache.base.atomic import storage_errors, sweep
from kdcache.base.lazy import lazy
from kdcache.base.limits import RECORD_BYTES
from kdcache.codecs.codec import Field, Fields
from kdcache.errors import Damage, Incomplete, Mismatch
from kdcache.images.rejected import Rejected, write_rejected
from kdcache.images.source import Listing, Source
from kdcache.store.arrow import check_size
from kdcache.store.backends.choose import backend_of
from kdcache.store.blocks import cut_payload
from kdcache.store.differences import differences, tell
from kdcache.store.frame import (
    INDEX,
    create_frame,
    frame_findings,
    open_index,
    read_plan,
    restore_view_files,
    write_plan,
)
from kdcache.store.index import Index
from kdcache.store.locks import build_lock, turn
from kdcache.store.parts.check import Finding, check_files, finding_of
from kdcache.store.parts.commit import commit_part, copy_files, receipt_of, remove
from kdcache.store.parts.geometry import Geometry
from kdcache.store.parts.mapped import MappedPart
from kdcache.store.parts.open_parts import Maps
from kdcache.store.parts.receipt import FOREIGN, MEND, Receipt, opened
from kdcache.store.parts.there import built_parts, links, names_of, receipt_name, receipts_there, strays, views_there
from kdcache.store.plan import PartId, Plan
from kdcache.store.same_images import expect_images


class Store:
    """A cache on disk. Open or create one with the class methods."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan
        self.identity = plan.identity
        self.fields: dict[str, Field] = {field.name: field for field in plan.fields()}
        self._backend = backend_of(plan)
        self._geometry = Geometry(plan, self.fields, self._backend)
        self._maps = Maps(path, plan, self.fields)

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Store.open, (self.path,)

    @classmethod
    def create(cls, path: Path, plan: Plan, listing: Listing) -> Self:
        """Start a cache, or go on with the same one. Mismatch when the folder holds another."""
        create_frame(path, plan, listing)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a cache; its plan is checked, its index when it is first used, its parts when they are."""
        return cls(path, read_plan(path))

    @classmethod
    def plan_at(cls, path: Path | None) -> Plan | None:
        """The plan of the cache that is there already; None where there is none."""
        return cls.open(path).plan if path is not None and (path / "plan.json").is_file() else None

    @lazy
    def index(self) -> Index:
        """Image ids, labels and look-up, checked against the plan's digest once."""
        return open_index(self.path, self.plan)

    def expect_rows(self) -> None:
        """Damage when the index is too short for the rows of the plan; for readers that need no ids. Nothing is read."""
        check_size(self.path / INDEX, self.plan.dataset.rows)

    def listing(self) -> Listing:
        """The dataset as it was scanned for this cache."""
        data = self.plan.dataset
        return Listing(self.index.ids.batch.column(0), self.index.labels, data.classes, data.fingerprint)

    def expect_images(self, source: Source, listing: Listing, *, given: str | None) -> None:
        """Drift or Mismatch when these are not the images this cache was planned for; `given`: where the user says they lie."""
        anew = "build a new cache of them with another --out"
        owner = str(self.path)
        expect_images(self.plan.dataset, source, listing, owner=owner, given=given, option="--data", anew=anew)

    @contextmanager
    def building(self, share: tuple[int, int] | None = None) -> Iterator[None]:
        """Hold the build lock: alone, or for one share. Alone, what interrupted builds left is swept away first."""
        with build_lock(self.path, share):
            if share is None:
                sweep(self.path)
            yield

    def receipt(self, part: PartId) -> Receipt | None:
        """The receipt of a part; None when it is not built, Damage when it is not what was written."""
        path = self.path / receipt_name(part)
        with storage_errors(path, "read"):
            try:
                raw = beneath.read(self.path, receipt_name(part), RECORD_BYTES)
            except FileNotFoundError:
                return None
        receipt = Receipt.load(part, path, raw)
        if receipt.plan != self.identity:
            message = f"{path} belongs to another cache: its plan is {receipt.plan}, this one is {self.identity}"
            raise Mismatch(message, hint=FOREIGN, path=str(path), part=str(part))
        if receipt.id != part:
            raise Damage(f"{path} is the receipt of part {receipt.id}", hint=MEND, path=str(path), part=str(part))
        self._geometry.hold(part, receipt)
        return receipt

    @property
    def missing_count(self) -> int:
        """How many parts are still to build, without a list of them."""
        return len(self.plan.parts()) - len(self.built())

    def missing_of(self, view: int) -> list[PartId]:
        """Parts of one view that are still to build."""
        there = set(self.built(view))
        return [part for part in self.plan.parts_of(view) if part not in there]

    def missing(self, *, sizes: bool = False) -> list[PartId]:
        """Parts still to build: no receipt, or one of its files is gone. Only names are looked at.

        With `sizes`, for those who build, receipts are read too: a file that is not as long as it was written is as good as gone.
        """
        there = set(self.built(sizes=sizes))
        return [part for part in self.plan.parts() if part not in there]

    def built(self, view: int | None = None, *, sizes: bool = False) -> list[PartId]:
        """Parts that are there: all but the missing ones. Of one view, or of all."""
        parts = built_parts(self.path, self.plan, self.fields, view)
        return [part for part in parts if not sizes or self._has_its_length(part)]

    def _has_its_length(self, part: PartId) -> bool:
        receipt = self.receipt(part)
        return receipt is not None and all(_size(self.path, file.path) == file.nbytes for file in receipt.files)

    def write_part(
        self, part: PartId, payload: Fields, bad: dict[int, str], facts: dict[str, JsonValue] | None = None
    ) -> Receipt:
        """Seal a part: all rows of every field, `bad` rows of the dataset with their reasons (written as zeros)."""
        restore_view_files(self.path, self.plan, part.view)
        cuts = cut_payload(self.plan, tuple(self.fields.values()), self.plan.rows_of(part), payload, bad)
        images = self._backend.images(self.plan, part, cuts)
        self._maps.forget(part)
        return commit_part(
            self.path, images, lambda files: receipt_of(self.plan, part, cuts, images, files, bad, facts or {})
        )

    def copy_part(self, part: PartId, source: "Store") -> Receipt:
        """Take over a part built elsewhere for the same plan, bytes and receipt; every byte is checked on the way."""
        receipt = source.receipt(part)
        if receipt is None:
            raise Incomplete(f"part {part} of {source.path} is not built", part=str(part))
        if receipt.plan != self.identity:
            found = tell(differences(source.plan.essence(), self.plan.essence()))
            raise Mismatch(f"{source.path} is not a piece of {self.path}: {found}", part=str(part))
        restore_view_files(self.path, self.plan, part.view)
        self._maps.forget(part)
        return copy_files(source.path, self.path, receipt)

    def drop_part(self, part: PartId) -> None:
        """Take a part away: the receipt first, so that a half-dropped part is no part."""
        self._maps.forget(part)
        for name in names_of(self.plan, self.fields, part):
            remove(self.path, name)

    def with_receipt(self) -> list[PartId]:
        """Parts that have a receipt, whether their files are there or not."""
        return list(receipts_there(self.path, self.plan))

    def map_part(self, part: PartId) -> MappedPart:
        """The arrays of a part, mapped read-only and checked on first touch; Damage when it is not there."""
        mapped = self._maps.get(part)
        if mapped is None:
            receipt = self.receipt(part)
            if receipt is None:
                raise Damage(f"part {part} of {self.path} is not built", hint="run the build again", part=str(part))
            mapped = self._maps.add(part, receipt)
        return mapped

    def bad_rows_of(self, part: PartId) -> dict[int, str]:
        """Rows of a built part whose images could not be used, with the reasons."""
        receipt = self.receipt(part)
        return {} if receipt is None else receipt.bad

    def bad_rows(self) -> dict[int, str]:
        """Rows of all built parts whose images could not be used, in order, with the first reason each."""
        found: dict[int, str] = {}
        for part in self.with_receipt():
            for row, reason in self.bad_rows_of(part).items():
                found.setdefault(row, reason)
        return dict(sorted(found.items()))

    def write_rejected(self) -> int:
        """List the images that could not be used, of every part built so far. Under the build lock."""
        with turn(self.path):  # holders of other shares list theirs too
            bad = self.bad_rows()
            entries = (Rejected(image_id=self.index[row], row=row, reason=reason) for row, reason in bad.items())
            write_rejected(self.path / "rejected.jsonl", entries)
        return len(bad)

    def bytes(self) -> int:
        """Bytes of all built parts."""
        receipts = (self.receipt(part) for part in self.with_receipt())
        return sum(receipt.bytes for receipt in receipts if receipt is not None)

    def plan_views(self, count: int) -> Plan:
        """Plan more views; what is built stays as it is. Under the build lock."""
        views = self.plan.views.model_copy(update={"count": count})
        plan = self.plan.model_copy(update={"views": views})
        write_plan(self.path, plan)
        self.plan = plan
        return plan

    def verify_part(self, part: PartId) -> list[Finding]:
        """Every byte of a built part against its receipt. Nothing to find in one that is not built."""
        rows = self.plan.rows_of(part)
        try:
            receipt = self.receipt(part)
        except (Damage, Mismatch) as error:
            return [finding_of(error, part, rows)]
        if receipt is None:
            return []
        return check_files(self.path, receipt)

    def verify_unopened(self) -> list[Finding]:
        """What a stranger could have left, before anything is mapped: links, pipes, and parts that lie about themselves."""
        return [*links(self.path), *(found for part in self.with_receipt() for found in self._verify_geometry(part))]

    def _verify_geometry(self, part: PartId) -> Iterator[Finding]:
        """The receipt of a part against the plan, and the lengths of its files against the receipt."""
        try:
            receipt = self.receipt(part)
            for file in receipt.files if receipt is not None else ():
                with opened(str(part), self.path, file.path, file.nbytes):
                    pass
        except (Damage, Mismatch) as error:
            yield finding_of(error, part, self.plan.rows_of(part))

    def verify_blocks(self, part: PartId) -> list[Finding]:
        """Whether every compressed block of a part is one: decompressed, one at a time, to the size that the plan says."""
        try:
            for field in self.map_part(part).values():
                field.inflate_all()
        except Damage as error:
            return [finding_of(error, part, self.plan.rows_of(part))]
        return []

    def verify_frame(self) -> list[Finding]:
        """The index, the files of the views, and names that do not belong."""
        return [*frame_findings(self.path, self.plan), *strays(self.path, self.plan, self.fields)]

    def restore_frame(self) -> None:
        """Write the files again that depend on the plan alone."""
        for view in views_there(self.path, self.plan):
            if any(receipts_there(self.path, self.plan, view)):
                restore_view_files(self.path, self.plan, view)


def _size(cache: Path, name: str) -> int | None:
    """How long a file of a part is; None where none is, or something else."""
    with storage_errors(cache / name, "read"):
        try:
            with beneath.opened(cache, name) as descriptor:
                return os.fstat(descriptor).st_size
        except (FileNotFoundError, Damage):
            return None
