"""The plan of a cache: it is written first and determines every byte of every part.

`identity` covers what determines a part's content. Views may be added later, and library versions are only recorded, so
neither is part of it. Rows are assigned before any teacher runs, so a part depends only on the plan.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, overload

from pydantic import SerializerFunctionWrapHandler, model_serializer

from kdcache.base.digest import json_digest
from kdcache.base.strict import Strict
from kdcache.codecs import UnknownCodec, make_codec
from kdcache.codecs.codec import Codec, Field
from kdcache.errors import Unavailable
from kdcache.images.source import Listing, Source
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import TeacherSpec
from kdcache.store.index import index_digest
from kdcache.views.recipe import ViewRecipe

FORMAT = 1
VIEW_DIGEST = Field("view_digest", "<u4", (), attributes=(("meaning", "digest of the pixels the teacher saw"),))
VALID = Field(
    "valid",
    "|b1",
    (),
    attributes=(
        ("meaning", "false where nothing is stored about an image (unreadable, say): all else in that row is zeros"),
    ),
)


class PartId(NamedTuple):
    """Id of a part: one view and one contiguous range of rows."""

    view: int
    number: int

    def __str__(self) -> str:
        return f"v{self.view:03d}/{self.number:06d}"


class Parts(Sequence[PartId]):
    """All parts in build order, view by view. They are made on demand, because a plan may have millions."""

    def __init__(self, views: int, each: int) -> None:
        self._views, self._each = views, each

    def __len__(self) -> int:
        return self._views * self._each

    @overload
    def __getitem__(self, place: int) -> PartId: ...
    @overload
    def __getitem__(self, place: slice) -> list[PartId]: ...
    def __getitem__(self, place: int | slice) -> PartId | list[PartId]:
        places = range(len(self))[place]
        if isinstance(places, int):
            return PartId(*divmod(places, self._each))
        return [PartId(*divmod(number, self._each)) for number in places]

    def __iter__(self) -> Iterator[PartId]:
        return (PartId(view, number) for view in range(self._views) for number in range(self._each))

    def __contains__(self, part: object) -> bool:
        return isinstance(part, PartId) and 0 <= part.view < self._views and 0 <= part.number < self._each


class Dataset(Strict):
    """The images of a cache: where to find them, and a fingerprint to check that they are still the same."""

    name: str
    source: dict[str, Any]
    """Specification of the images, from which `open_source` reopens them."""
    fingerprint: str
    rows: int
    index_digest: str
    """Digest (xxh3-128) of index.arrow."""
    classes: tuple[str, ...] | None
    generations: tuple[int, ...] = ()
    """Row count at the end of each generation of rows, the last one equal to `rows`. Reserved for adding rows: it is read and
    checked, but nothing adds rows yet. It is not written when empty, so that plans have the same bytes as before."""

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name != "generations" or value}

    @classmethod
    def of(cls, source: Source, listing: Listing) -> "Dataset":
        """The record of a source and its listing."""
        return cls(
            name=source.name,
            source=source.spec(),
            fingerprint=listing.fingerprint,
            rows=len(listing),
            index_digest=index_digest(listing),
            classes=listing.classes,
        )


class StoredSignal(Strict):
    """One stored signal, its codec, and the codec's error."""

    signal: Signal
    codec: str
    bytes_per_row: float
    error: dict[str, float] = {}
    """Error of the codec, measured on the first batch when the plan was made."""
    via: tuple[str, ...] = ()
    """Codecs that were applied to the signal before this one, oldest first, so that a converted cache does not claim
    more precision than it had.
    """


class ViewPlan(Strict):
    """The views that are stored."""

    recipe: ViewRecipe
    seed: int
    count: int


class Layout(Strict):
    """How rows are arranged on disk."""

    backend: Literal["hdf5", "zarr"]
    compression: str | None = None
    """Lossless compression of each block of rows: `zstd:LEVEL`, `blosc:LEVEL`, or None."""
    rows_per_part: int
    block_rows: dict[str, int]
    """Rows covered by one checksum, by field name; divides rows_per_part."""
    self_describing: bool = False
    """Whether the files explain themselves to readers that do not know receipts: parts have the field `valid`, texts in HDF5
    are read as `str`, Zarr groups state which rows a part holds. False for caches of earlier versions."""

    def added_fields(self) -> tuple[Field, ...]:
        """Fields that every part has in addition to those of its codecs."""
        return (VIEW_DIGEST, VALID) if self.self_describing else (VIEW_DIGEST,)


class Plan(Strict):
    """A complete description of a cache, except its bytes."""

    format: int = FORMAT
    teacher: TeacherSpec
    dataset: Dataset
    views: ViewPlan
    signals: tuple[StoredSignal, ...]
    batch: int
    """Number of images in a teacher batch. Parts hold whole batches; the last batch of a part is padded."""
    layout: Layout
    versions: dict[str, str]

    @property
    def identity(self) -> str:
        """Digest of everything that determines the bytes of a part. Receipts record it, so parts of other plans are refused.

        Values equal to their default are left out, so that a later release can add a setting without changing the identity of
        existing caches.
        """
        plain = self._essence(exclude_defaults=True)
        return json_digest([self.format, self.views.recipe.kind, plain])

    def essence(self) -> dict[str, Any]:
        """The values that determine the bytes of a part; plans for which these are equal can share parts."""
        return self._essence(exclude_defaults=False)

    def _essence(self, *, exclude_defaults: bool) -> dict[str, Any]:
        plain = self.model_copy(update={"teacher": self.teacher.without_paths()}).model_dump(
            mode="json", exclude_defaults=exclude_defaults
        )
        plain["views"].pop("count")
        plain.pop("versions")
        # Paths of images and runs may differ between machines; fingerprint, index and sha256 identify the content.
        plain["dataset"].pop("source")
        plain["dataset"].pop("name")
        for stored in plain["signals"]:
            stored.pop("error", None)
        return plain

    @property
    def parts_per_view(self) -> int:
        """Number of parts of one view."""
        return -(-self.dataset.rows // self.layout.rows_per_part)

    def parts(self) -> Parts:
        """All parts in build order: view by view."""
        return Parts(self.views.count, self.parts_per_view)

    def parts_of(self, view: int) -> list[PartId]:
        """The parts of one view."""
        return [PartId(view, number) for number in range(self.parts_per_view)]

    def rows_of(self, part: PartId) -> range:
        """The range of rows of a part."""
        start = part.number * self.layout.rows_per_part
        return range(start, min(start + self.layout.rows_per_part, self.dataset.rows))

    def codecs(self) -> dict[str, Codec]:
        """Signal name -> codec, in stored order."""
        return {name: way[-1] for name, way in self._made().ways.items()}

    def ways(self) -> dict[str, tuple[Codec, ...]]:
        """Signal name -> all codecs applied to it, the stored one last. Missing parts of a converted cache are built with all.

        Unavailable if a codec belongs to a package that is not installed.
        """
        return dict(self._made().ways)

    def fields(self) -> tuple[Field, ...]:
        """All arrays of a part: those of each codec, then those that every part has."""
        return (*self._made().fields, *self.layout.added_fields())

    def _made(self) -> "_Made":
        """Codecs and fields, cached for all plans that store the same signals in the same way."""
        return _make(tuple((stored.signal, (*stored.via, stored.codec)) for stored in self.signals))

    def first_of_classes(self) -> Signal | None:
        """The first stored signal that is a distribution over classes for a whole view; None if there is none."""
        return next((stored.signal for stored in self.signals if stored.signal.names_classes), None)


class _Made(NamedTuple):
    """What is derived from the signals of a plan: codecs by signal name, and the arrays to store."""

    ways: dict[str, tuple[Codec, ...]]
    fields: tuple[Field, ...]


@lru_cache(maxsize=64)
def _make(signals: tuple[tuple[Signal, tuple[str, ...]], ...]) -> _Made:
    ways = {signal.name: tuple(_codec(name, signal) for name in names) for signal, names in signals}
    return _Made(ways, tuple(field for way in ways.values() for field in way[-1].fields()))


def _codec(name: str, signal: Signal) -> Codec:
    try:
        return make_codec(name, signal)
    except UnknownCodec as error:
        raise Unavailable(
            f"{signal.name} is stored in the codec {name!r}, which is not installed here",
            hint=f"install the package that brings {name!r}",
        ) from error
