"""How TinyViT names an image: by its id, its file name without extension, or its row number."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kdcache.errors import Mismatch, UsageError
from kdcache.images.source import Listing

Keys = Literal["id", "stem", "index"]


def keys_of(ids: pa.Array, keys: Keys) -> pa.Array:
    """The key of each row: for `a/n01_1.JPEG` this is `a/n01_1.JPEG` (id), `n01_1` (stem) or its row number (index)."""
    if keys == "id":
        return ids
    if keys == "stem":
        # A name that is only an extension (`.jpg`) stays as it is.
        return pc.replace_substring_regex(pc.replace_substring_regex(ids, r"^.*/", ""), r"(.)\.[^.]*$", r"\1")
    if keys == "index":
        return pa.array(np.arange(len(ids)), pa.int64()).cast(pa.large_string())
    raise UsageError(f"unknown keys {keys!r}", hint="one of id, stem, index")


def recognised(found: pa.Array, listing: Listing) -> Keys:
    """The kind of key that a folder uses. Row numbers are never guessed, because they fit any dataset of that length."""
    ids = listing.ids
    kinds: tuple[Keys, ...] = ("id", "stem")
    for kind in kinds:
        if pc.all(pc.is_in(found, value_set=keys_of(ids, kind))).as_py():
            return kind
    sample, own = found[0].as_py(), ids[0].as_py()
    if pc.all(pc.match_substring_regex(found, r"^\d+$")).as_py():
        hint = "--keys index, if they number the images as torchvision's ImageFolder does, or their publisher"
        message = f"the folder names its images by number, such as {sample!r}"
        raise Mismatch(message, hint=hint if listing.order_doubt is None else _with_ids(ids))
    unknown = found.filter(pc.invert(pc.is_in(found, value_set=keys_of(ids, "stem"))))
    message = f"the folder holds {unknown[0].as_py()!r}, which is not an image of this source (its first is {own!r})"
    raise Mismatch(message, hint="give the images that these logits were made from")


def refuse_doubt(listing: Listing, source: str) -> None:
    """Mismatch if the writer of the records may have numbered the images differently."""
    if listing.order_doubt is not None:
        message = f"the images of {source} may be numbered differently in the records: {listing.order_doubt}"
        raise Mismatch(message, hint=_with_ids(listing.ids))


def _with_ids(ids: pa.Array) -> str:
    """A hint: how to import records when their row numbers are not reliable."""
    return f"in rank*-keys.txt, put the id of its image ({ids[0].as_py()!r} …) in place of each number; then --keys id"


def places_of(found: pa.Array, ids: pa.Array, keys: Keys) -> NDArray[np.int64]:
    """For each row of the dataset its position in `found`, -1 if there is none; the first position if a key occurs twice."""
    names = keys_of(ids, keys)
    if keys == "stem" and len(pc.unique(names)) != len(names):
        raise Mismatch(
            "several images of this source have the same file name",
            hint="keys `stem` is ambiguous here: use another --keys",
        )
    rows = pc.index_in(found, value_set=names)
    if rows.null_count:
        unknown = found.filter(pc.is_null(rows))
        message = (
            f"{rows.null_count} records are of images that this source does not have, such as {unknown[0].as_py()!r}"
        )
        raise Mismatch(message, hint="give the images that these logits were made from")
    places = np.full(len(ids), -1, np.int64)
    # Written backwards, so that the first of two records stays: a TinyViT process of rank 0 reads that one.
    places[rows.to_numpy(zero_copy_only=False)[::-1]] = np.arange(len(found))[::-1]
    return places
