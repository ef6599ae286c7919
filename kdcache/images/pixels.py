"""Convert an opened image of any mode to 8-bit RGB.

Input: an opened Pillow image of any mode, and the background colour of transparent pixels. Output: uint8 (height, width, 3),
which the caller may write to.

Decisions made here:
- Transparent pixels are blended with the given colour (see background.py); without one, alpha is dropped.
- 16-bit values keep their high byte, in grey and in colour (as Pillow does for 16-bit colour), so black stays black, white
  stays white and a picture gives the same pixels in grey and in colour. 12-bit TIFF is scaled as 12 bits.
- 32-bit integers are read as 16-bit values, floats as 0 to 1. Other values have no agreed meaning: the image is refused, not
  stretched or clipped.
- CMYK is converted by the plain formula and colour profiles are ignored, as in the image loaders models are trained with.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.errors import BadImage
from kdcache.images.background import Colour

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0
_PLAIN = ("1", "L", "P", "CMYK", "YCbCr", "HSV", "RGBX")


def to_rgb(image: "Image", under: Colour | None) -> NDArray[np.uint8]:
    """The pixels of a loaded image as 8-bit RGB. `under`: the background colour, None to drop alpha."""
    if under is None:
        image.info.pop("transparency", None)
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.array(image)
    if image.mode.startswith("I;16"):
        return _high_byte(image, under)
    if image.mode == "I":
        return _grey(_from_integers(np.asarray(image)))
    if image.mode == "F":
        return _grey(_from_floats(np.asarray(image)))
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.mode in ("P", "PA") and image.palette is None:
        raise BadImage("palette is missing")
    if image.has_transparency_data:
        return np.array(image.convert("RGB")) if under is None else _over(image, under)
    if image.mode not in _PLAIN:
        raise BadImage(f"colour mode {image.mode} is not supported")
    return np.array(image.convert("RGB"))


def _over(image: "Image", under: Colour) -> NDArray[np.uint8]:
    from PIL import Image as pillow

    picture = image.convert("RGBA")
    page = pillow.new("RGB", picture.size, under)
    page.paste(picture, mask=picture.getchannel("A"))
    return np.array(page)


def _grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(values[:, :, None], 3, axis=2)


def _high_byte(image: "Image", under: Colour | None) -> NDArray[np.uint8]:
    values: NDArray[np.uint16] = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", {})
    (bits, *_) = tags.get(_BITS_PER_SAMPLE, (16,))
    high: NDArray[np.uint8] = (values >> (max(bits, 8) - 8)).astype(np.uint8)
    if (
        tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    ):  # Pillow inverts 8-bit pictures of this kind itself, but not 16-bit ones
        high = ~high
    result, transparent = _grey(high), image.info.get("transparency")
    if under is not None and isinstance(transparent, int):
        result[values == transparent] = under
    return result


def _from_integers(values: NDArray[np.int32]) -> NDArray[np.uint8]:
    if values.min() < 0 or values.max() > 0xFFFF:
        raise BadImage("32-bit values are not within 0 to 65535")
    result: NDArray[np.uint8] = (values >> 8).astype(np.uint8)
    return result


def _from_floats(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    if not (values.min() >= 0.0 and values.max() <= 1.0):
        raise BadImage("float values are not within 0 to 1")
    result: NDArray[np.uint8] = np.rint(values * np.float32(255)).astype(np.uint8)
    return result
