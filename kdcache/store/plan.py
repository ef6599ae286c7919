"""The plan of a cache: written first, it fixes what every byte of every part will be.

`identity` covers what determines a part's content. Views may be added later and library versions are told, not obeyed, so
neither is part of it. Rows are assigned before any teacher runs: a part depends on nothing but the plan.
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
    """One view number and one contiguous range of rows."""

    view: int
    number: int

    def __str__(self) -> str:
        return f"v{self.view:03d}/{self.number:06d}"


class Parts(Sequence[PartId]):
    """All parts in build order, view by view, made as they are requested: a plan may have millions."""

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
    """Which images: enough to find them again, and a fingerprint that tells whether they are still the same."""

    name: str
    source: dict[str, Any]
    """Specification of the images, from which `open_source` reopens them."""
    fingerprint: str
    rows: int
    index_digest: str
    """Digest (xxh3-128) of index.arrow."""
    classes: tuple[str, ...] | None
    generations: tuple[int, ...] = ()
    """Row counts at which each generation of rows ends, the last of them `rows`, once rows were added later. Reserved: it is
    read and checked, and nothing adds rows yet. Left out where there are none, so that plans are written as ever."""

    @model_serializer(mode="wrap")
    def _as_ever(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name != "generations" or value}

    @classmethod
    def of(cls, source: Source, listing: Listing) -> "Dataset":
        """What was found when the source was scanned."""
        return cls(
            name=source.name,
            source=source.spec(),
            fingerprint=listing.fingerprint,
            rows=len(listing),
            index_digest=index_digest(listing),
            classes=listing.classes,
        )


class StoredSignal(Strict):
    """One signal, how it is coded, and what that costs."""

    signal: Signal
    codec: str
    bytes_per_row: float
    error: dict[str, float] = {}
    """Error of the codec, measured on the first batch when the plan was made."""
    via: tuple[str, ...] = ()
    """Codecs the signal went through before this one, oldest first, so that a converted cache claims no more
    precision than it had.
    """


class ViewPlan(Strict):
    """Which views are stored."""

    recipe: ViewRecipe
    seed: int
    count: int


class Layout(Strict):
    """How rows lie on disk."""

    backend: Literal["hdf5", "zarr"]
    compression: str | None = None
    """None, `zstd:LEVEL` or `blosc:LEVEL`: lossless, one block of rows at a time."""
    rows_per_part: int
    block_rows: dict[str, int]
    """Rows covered by one checksum, by field name; divides rows_per_part."""
    self_describing: bool = False
    """Whether readers that know nothing of receipts are told enough: parts have the field `valid`, texts in HDF5 read as
    `str`, groups of Zarr say which rows a part holds. Caches planned before this was there have none of it."""

    def added_fields(self) -> tuple[Field, ...]:
        """What every part has beside the fields of its codecs."""
        return (VIEW_DIGEST, VALID) if self.self_describing else (VIEW_DIGEST,)


class Plan(Strict):
    """Everything about a cache but its bytes."""

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
        """Digest of what determines the bytes of a part. Receipts carry it, so foreign parts are refused.

        Values that equal their default are left out of it, so that a later release may add a setting without making
        strangers of the caches it finds.
        """
        plain = self._essence(exclude_defaults=True)
        return json_digest([self.format, self.views.recipe.kind, plain])

    def essence(self) -> dict[str, Any]:
        """What determines the bytes of a part; two plans that differ nowhere in it share their parts."""
        return self._essence(exclude_defaults=False)

    def _essence(self, *, exclude_defaults: bool) -> dict[str, Any]:
        plain = self.model_copy(update={"teacher": self.teacher.without_paths()}).model_dump(
            mode="json", exclude_defaults=exclude_defaults
        )
        plain["views"].pop("count")
        plain.pop("versions")
        # Where images and runs lie may differ between machines; which they are is in the fingerprint, the index and the sha256.
        plain["dataset"].pop("source")
        plain["dataset"].pop("name")
        for stored in plain["signals"]:
            stored.pop("error", None)
        return plain

    @property
    def parts_per_view(self) -> int:
        """Parts that one view has."""
        return -(-self.dataset.rows // self.layout.rows_per_part)

    def parts(self) -> Parts:
        """All parts in build order: view by view."""
        return Parts(self.views.count, self.parts_per_view)

    def parts_of(self, view: int) -> list[PartId]:
        """The parts of one view."""
        return [PartId(view, number) for number in range(self.parts_per_view)]

    def rows_of(self, part: PartId) -> range:
        """The rows a part holds."""
        start = part.number * self.layout.rows_per_part
        return range(start, min(start + self.layout.rows_per_part, self.dataset.rows))

    def codecs(self) -> dict[str, Codec]:
        """Signal name -> codec, in stored order."""
        return {name: way[-1] for name, way in self._made().ways.items()}

    def ways(self) -> dict[str, tuple[Codec, ...]]:
        """Signal name -> every codec it goes through, the stored one last: a converted cache is built the way it came.

        Unavailable where a codec is of a package that is not installed.
        """
        return dict(self._made().ways)

    def fields(self) -> tuple[Field, ...]:
        """Every array of a part: those of each codec, then those that every part has."""
        return (*self._made().fields, *self.layout.added_fields())

    def _made(self) -> "_Made":
        """Made once for all plans that store the same signals alike: by what they are, as a changed copy is another plan."""
        return _make(tuple((stored.signal, (*stored.via, stored.codec)) for stored in self.signals))

    def first_of_classes(self) -> Signal | None:
        """The first signal that is a distribution over classes for a whole view; None where none is stored."""
        return next((stored.signal for stored in self.signals if stored.signal.names_classes), None)


class _Made(NamedTuple):
    """What the signals of a plan come to: codecs by signal name, and the arrays of the stored ones."""

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
            hint=f"install the package that brings {name!r}, as where this cache was made",
        ) from error
