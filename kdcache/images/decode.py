"""Decode an image file into pixels, or give the reason why it cannot be decoded.

Input: the bytes of one image file. Output: uint8 RGB (height, width, 3), upright, first frame, 8 bits. Transparency, 16 bits and
other colour spaces are handled in pixels.py, the choice of formats in formats.py, orientation in exif.py.

Equal bytes give equal pixels whatever else the process does: nothing here changes a setting of Pillow, and the two settings
that would change the result raise an error. Reasons are short and do not quote Pillow, so that they are the same in every
version of Pillow.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import BadImage, UsageError
from kdcache.images import exif, formats
from kdcache.images.background import WHITE, colour_of
from kdcache.images.pixels import to_rgb

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 89_478_485
"""Most pixels of an image: a quarter GiB of RGB, Pillow's own warning limit. Checked in the header, before allocating."""

_filters = threading.Lock()
logging.getLogger("PIL").addHandler(
    logging.NullHandler()
)  # otherwise Python prints what Pillow logs about a broken TIFF


def decode(raw: bytes, *, background: str = WHITE, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Pixels of one encoded image: uint8 RGB (height, width, 3). Raises BadImage(reason)."""
    _refuse_changed_pillow()
    kind = formats.recognise(raw)
    block = b""
    if kind.essential is not None:
        raw, block = kind.essential(raw)
    with nullcontext() if kind.silent else _no_warnings():
        image = _load(raw, kind, max_pixels)
        try:
            pixels = to_rgb(image, colour_of(background))
        except (OSError, ValueError, MemoryError) as error:
            raise BadImage(f"{kind.name} cannot be converted to RGB") from error
    if kind is not formats.TIFF:  # Pillow applies the orientation of a TIFF itself
        tag = exif.orientation(block or _exif_block(image))
        if tag != exif.UPRIGHT:
            pixels = exif.upright(pixels, tag)
    return pixels


def _exif_block(image: ImageFile) -> bytes:
    block = image.info.get("exif", b"")
    return block if isinstance(block, bytes) else b""


def _load(raw: bytes, kind: formats.Format, max_pixels: int) -> ImageFile:
    from PIL.Image import DecompressionBombError

    if kind is formats.WEBP and (size := formats.webp_size(raw)) is not None:
        _check_size(size, max_pixels)
    try:
        image = kind.open(raw)
        _check_size(image.size, max_pixels)
        image.load()
    except BadImage:
        raise
    except ImportError as error:
        raise BadImage(f"{kind.name} is not supported by this Pillow") from error
    except DecompressionBombError as error:
        raise BadImage(f"more than {max_pixels} pixels") from error
    except MemoryError as error:
        raise BadImage(f"{kind.name} needs more memory than there is") from error
    except Exception as error:
        # Pillow's readers raise nearly anything on broken input (OSError, SyntaxError, ValueError, struct.error, KeyError,
        # OverflowError, ZeroDivisionError, RuntimeError …): each of them means that the file does not follow its format
        truncated = "truncated" in str(error).lower()
        raise BadImage(f"{kind.name} is {'truncated' if truncated else 'damaged'}") from error
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise BadImage(f"{width} x {height} is more than {max_pixels} pixels")


def _refuse_changed_pillow() -> None:
    from PIL import Image, ImageFile

    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on: truncated images would pass as whole",
            hint="leave it off (False) in a process that reads images with kdcache",
        )
    if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < MAX_PIXELS:
        raise UsageError(
            f"PIL.Image.MAX_IMAGE_PIXELS is {Image.MAX_IMAGE_PIXELS}: some images would be refused that others can read",
            hint=f"leave it at {MAX_PIXELS} or above; kdcache has a limit of its own",
        )


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Suppress warnings about metadata. Warning filters are global to the process, so only one thread at a time does this."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _new_lock() -> None:
    global _filters
    _filters = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)
