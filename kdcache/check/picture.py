"""Save one view of one image as a PNG, to see what the teacher was shown.

Input: a cache, an image id, a view, the file to write. Output: the file, with exactly the pixels that the teacher was shown:
rendered again from the image, at the teacher's size, mixed with its partner if the recipe mixes, and compared with the digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from kdcache.base.atomic import write_file
from kdcache.check.sampling import drifted, rendered_again
from kdcache.errors import BadImage, Drift, UsageError
from kdcache.images import open_source
from kdcache.store import Store
from kdcache.store.drift import pixels_hint
from kdcache.store.plan import PartId

SUFFIX = ".png"


@dataclass(frozen=True)
class Saved:
    """A picture that was saved."""

    path: Path
    height: int
    width: int


def check_target(path: Path) -> None:
    """UsageError if the file exists already, or is not a PNG: other formats may change pixels."""
    if path.suffix.lower() != SUFFIX:
        hint = f"--save {path.with_suffix(SUFFIX).name or 'picture.png'}: a PNG keeps every pixel as it was"
        raise UsageError(f"{path} does not end in {SUFFIX}", hint=hint)
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already", hint="remove it, or choose another name")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a folder", hint="make it, or choose another place")


def save_view(cache: Path, image_id: str, path: Path, *, view: int = 0, data: str | None = None) -> Saved:
    """Write one view of an image. `data`: present location of the images, if it differs from the plan's.

    Drift, and no file, if it renders to other pixels than the teacher was shown; BadImage if the image cannot be read.
    """
    from PIL import Image

    check_target(path)
    store = Store.open(cache)
    row = store.index.row_of(image_id)
    part = PartId(view, row // store.plan.layout.rows_per_part)
    known: Mapping[str, Any] = store.plan.dataset.source
    source = open_source(data or known, like=known)
    if data:
        store.expect_images(source, source.scan(), given=data)
    for _, batch in rendered_again(store, source, [(part, [row])], workers=0):
        if row in batch.bad:
            raise BadImage(f"{image_id} cannot be used now: {batch.bad[row]}", hint=pixels_hint(cache, store.plan))
        if drift := drifted(store, part, batch):
            raise Drift(drift[0].what, hint=pixels_hint(cache, store.plan))
        pixels = batch.pixels[0]
        packed = BytesIO()
        Image.fromarray(pixels).save(packed, "PNG")
        write_file(path, [packed.getvalue()])
    return Saved(path, *pixels.shape[:2])
