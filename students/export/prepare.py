"""An image file as the student in this folder sees it: the very pixels it was trained and judged with.

    from prepare import prepare

    batch = prepare("photo.png")[None]  # float32 (1, 3, height, width), what timm's network and the ONNX file take

Needs numpy and Pillow. The numbers are in preprocess.json beside this file. What is done, in this order:

1. The first frame is decoded; it becomes 8-bit RGB. 16-bit values keep their high byte, 32-bit integers are read as 16-bit
   values, floats as 0 to 1; CMYK is converted by the plain formula; colour profiles are ignored.
2. Transparent pixels lie on `background`; where that is null, alpha is dropped, as `convert("RGB")` drops it.
3. The picture is turned upright as its EXIF orientation says (the one in XMP does not count).
4. It is resized to `size` / `crop_pct`: `crop` by its shorter side, `pad` by its longer side, `squash` by both, ratio lost.
   What is more than `size` (height, width) is cut off around the centre, what is missing is black. Where `cut` is left out,
   resizing and cutting are one call; else the whole picture is resized first, and half of an odd margin is rounded to the even
   number (`round`, as torchvision does) or down (`floor`, as transformers does). With `turn` a picture that lies across is turned
   first; with `shrink` its shorter side becomes that of `size`, and what is too large then a thumbnail.
5. (pixel / 255 - mean) / std, channels first.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
SETTINGS = Path(__file__).with_name("preprocess.json")
MOST_PIXELS = 1 << 27
"""Largest picture, in pixels, that is resized whole before it is cropped. A longer strip is resized and cropped in
one step."""


def prepare(file: Any) -> NDArray[np.float32]:
    """The network's input for one image file (a path, or a file object): float32 (3, height, width)."""
    settings = json.loads(SETTINGS.read_text("utf-8"))
    mean, std = (np.array(settings[name], np.float32) for name in ("mean", "std"))
    pixels = view(read(file, settings["background"]), settings).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


def read(file: Any, background: list[int] | None) -> Pixels:
    """Steps 1 to 3: uint8 RGB (height, width, 3) of the whole picture. ValueError when its numbers have no agreed meaning."""
    with Image.open(file) as image:
        image.load()
        pixels = _rgb(image, background)
        # Pillow has turned a TIFF already.
        orientation = 1 if image.format == "TIFF" else _orientation(image.info.get("exif", b""))
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


def view(pixels: Pixels, settings: dict[str, Any]) -> Pixels:
    """Step 4: uint8 (height, width, 3) of the size the network wants."""
    picture, size, cut = Image.fromarray(pixels), settings["size"], settings.get("cut", "once")
    if settings.get("turn") and (picture.height - picture.width) * (size[0] - size[1]) < 0:
        picture = picture.transpose(Image.Transpose.ROTATE_270)
    how = Image.Resampling[settings["interpolation"].upper()]
    height, width = _shorter_side(picture, min(size))
    if settings.get("shrink") and height * width <= MOST_PIXELS:
        return _padded(_shrunk(picture.resize((width, height), how), settings["shrink"], size), size)
    height, width = _whole(picture, settings)
    rows, columns = min(height, size[0]), min(width, size[1])
    if cut == "once" or height * width > MOST_PIXELS:
        top, left = round((height - rows) / 2), round((width - columns) / 2)
        shares = left / width, top / height, (left + columns) / width, (top + rows) / height
        box = tuple(share * side for share, side in zip(shares, 2 * picture.size, strict=True))
        kept = picture.resize((columns, rows), how, box=box)
    else:
        top, left = ((more // 2 if cut == "floor" else round(more / 2)) for more in (height - rows, width - columns))
        kept = picture.resize((width, height), how).crop((left, top, left + columns, top + rows))
    return _padded(kept, size)


def _padded(picture: Image.Image, size: list[int]) -> Pixels:
    result = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - picture.height) // 2, (size[1] - picture.width) // 2
    result[top : top + picture.height, left : left + picture.width] = np.asarray(picture)
    return result


def _shrunk(picture: Image.Image, shrink: dict[str, Any], size: list[int]) -> Image.Image:
    """A thumbnail no larger than `size`; the picture itself where it fits."""
    how, gap = Image.Resampling[shrink["interpolation"].upper()], shrink.get("gap")
    if shrink["sides"] == "nearest":
        picture.thumbnail((size[1], size[0]), how, reducing_gap=gap)
        return picture
    height, width = min(picture.height, size[0]), min(picture.width, size[1])
    if (height, width) == (picture.height, picture.width):
        return picture
    if picture.height > picture.width:
        width = max(1, picture.width * height // picture.height)
    elif picture.width > picture.height:
        height = max(1, picture.height * width // picture.width)
    return picture.resize((width, height), how, reducing_gap=gap)


def _shorter_side(picture: Image.Image, side: int) -> tuple[int, int]:
    if picture.height <= picture.width:
        return side, side * picture.width // picture.height
    return side * picture.height // picture.width, side


def _whole(picture: Image.Image, settings: dict[str, Any]) -> tuple[int, int]:
    """Height and width of the whole picture at the scale of the result."""
    wanted = [math.floor(side / settings["crop_pct"]) for side in settings["size"]]
    if settings["fit"] == "squash":
        return wanted[0], wanted[1]
    down, across = picture.height / wanted[0], picture.width / wanted[1]
    if settings["fit"] == "pad":
        return max(1, round(picture.height / max(down, across))), max(1, round(picture.width / max(down, across)))
    if wanted[0] != wanted[1]:
        return round(picture.height / min(down, across)), round(picture.width / min(down, across))
    return _shorter_side(picture, wanted[0])


def _rgb(image: Image.Image, background: list[int] | None) -> Pixels:
    if background is None:
        image.info.pop("transparency", None)
    if image.mode.startswith("I;16"):
        return _sixteen_bits(image, background)
    if image.mode in ("I", "F"):
        values, most = np.asarray(image), 65535 if image.mode == "I" else 1
        if not (values.min() >= 0 and values.max() <= most):
            raise ValueError(f"the values of this image are not within 0 to {most}")
        grey = values >> 8 if image.mode == "I" else np.rint(values * np.float32(255))
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if background is not None and image.has_transparency_data:
        picture = image.convert("RGBA")
        page = Image.new("RGB", picture.size, tuple(background))
        page.paste(picture, mask=picture.getchannel("A"))
        return np.array(page)
    if image.mode == "LAB":
        raise ValueError("colour mode LAB has no plain conversion to RGB")
    return np.array(image.convert("RGB"))


def _sixteen_bits(image: Image.Image, background: list[int] | None) -> Pixels:
    """The high byte of grey values of 16 (in some TIFFs fewer) bits."""
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    grey = (values >> (max(tags.get(258, (16,))[0], 8) - 8)).astype(np.uint8)
    if tags.get(262) == 0:  # in this TIFF, 0 is white
        grey = ~grey
    result, transparent = np.repeat(grey[:, :, None], 3, axis=2), image.info.get("transparency")
    if background is not None and isinstance(transparent, int):
        result[values == transparent] = background
    return result


def _orientation(exif: bytes) -> int:
    """1 to 8, as the orientation tag of an EXIF block says; 1 when it does not."""
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, entry)
            if tag == 0x0112:
                (value, *_) = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}.get(kind, "B"), block, entry + 8)
                return value if kind in (1, 3, 4) and 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
