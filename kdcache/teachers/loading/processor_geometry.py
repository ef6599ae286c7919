"""How each of transformers' image processors resizes and crops an image, expressed as a geometry of kd.

Input: the complete settings of a processor (with defaults). Output: (height, width) and a geometry that gives the same pixels as
the PIL version of the processor; Unknown, naming the setting, if there is none.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from kdcache.views.recipe import Interpolation, Plain, Shrink

Settings = Mapping[str, Any]
Sides = tuple[int, int]
"""(height, width) in pixels."""
RESAMPLING: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""PIL's interpolation codes, which image processors use."""
CONVNEXT_WHOLE = 384
"""Input size from which ConvNeXt's processor squashes the image instead of cropping it."""
LONGEST_SIDE = 1 << 14


class Unknown(ValueError):
    """kd does not support a setting, which the message names."""


def geometry_of(kind: str, settings: Settings, gap: float | None) -> tuple[Sides, Plain]:
    """Size and geometry of a processor. `gap`: the `reducing_gap` of its thumbnails."""
    if settings.get("do_resize") is not True:
        raise Unknown(f"do_resize is {settings.get('do_resize')!r}")
    return FITTED[kind](settings, gap)


def cropped(part: int, whole: int, interpolation: Interpolation) -> Plain:
    """Geometry: resize the shorter side to `whole`, then crop a square of `part`."""
    return Plain(fit="crop", crop_pct=_share((part,), (whole,)), interpolation=interpolation, cut="floor")


def squashed(part: Sides, whole: Sides, interpolation: Interpolation) -> Plain:
    """Geometry: resize both sides to `whole`, then crop `part`. If nothing is cropped, `cut` keeps its default."""
    cut: Any = "once" if part == whole else "floor"
    return Plain(fit="squash", crop_pct=_share(part, whole), interpolation=interpolation, cut=cut)


def _standard(settings: Settings, _gap: float | None = None) -> tuple[Sides, Plain]:
    """Resize both sides or the shorter one, then crop the centre."""
    crop = _pair(settings, "crop_size") if settings.get("do_center_crop") else None
    size, interpolation = _size(settings, "size"), _interpolation(settings)
    if isinstance(size, tuple):
        return crop or size, squashed(crop or size, size, interpolation)
    if crop is None:
        raise Unknown(f"size is {settings['size']!r} without do_center_crop, which leaves the longer side open")
    if crop[0] != crop[1]:
        raise Unknown(f"crop_size is {settings['crop_size']!r}, which is not a square")
    return crop, cropped(crop[0], size, interpolation)


def _uncropped(settings: Settings, gap: float | None = None) -> tuple[Sides, Plain]:
    if settings.get("do_center_crop"):
        raise Unknown("do_center_crop is True, which this processor ignores")
    return _standard(settings, gap)


def _levit(settings: Settings, gap: float | None) -> tuple[Sides, Plain]:
    """Resize the shorter side to 256 for an input of 224."""
    size = _size(settings, "size")
    if isinstance(size, int):
        settings = {**settings, "size": {"shortest_edge": int((256 / 224) * size)}}
    return _standard(settings, gap)


def _convnext(settings: Settings, _gap: float | None) -> tuple[Sides, Plain]:
    """Resize and crop according to `crop_pct`; large inputs are squashed."""
    edge, share = _size(settings, "size"), _crop_pct(settings)
    if isinstance(edge, tuple) or settings.get("do_center_crop"):
        raise Unknown(f"size is {settings['size']!r}, do_center_crop {settings.get('do_center_crop')!r}")
    if edge >= CONVNEXT_WHOLE:
        return (edge, edge), squashed((edge, edge), (edge, edge), _interpolation(settings))
    return (edge, edge), cropped(edge, int(edge / share), _interpolation(settings))


def _poolformer(settings: Settings, gap: float | None) -> tuple[Sides, Plain]:
    """Resize to a size enlarged by `crop_pct`, then crop in a separate step."""
    size, share = _size(settings, "size"), _crop_pct(settings)
    if isinstance(size, tuple) and size[0] != size[1]:
        larger = {"height": int(size[0] / share), "width": int(size[1] / share)}
    else:
        larger = {"shortest_edge": int((size if isinstance(size, int) else size[0]) / share)}
    return _standard({**settings, "size": larger}, gap)


def _dpt(settings: Settings, gap: float | None) -> tuple[Sides, Plain]:
    """Squash; unsupported if it keeps the aspect ratio, or if the size is not the required multiple."""
    size, multiple = _size(settings, "size"), settings.get("ensure_multiple_of") or 1
    if settings.get("keep_aspect_ratio"):
        raise Unknown("keep_aspect_ratio is True")
    if not isinstance(multiple, int) or isinstance(size, int) or any(side % multiple for side in size):
        raise Unknown(f"size is {settings['size']!r}, ensure_multiple_of {multiple!r}")
    return _uncropped(settings, gap)


def _donut(settings: Settings, gap: float | None) -> tuple[Sides, Plain]:
    """Resize the shorter side to that of the canvas, reduce what is larger to a thumbnail, pad."""
    size, interpolation = _size(settings, "size"), _interpolation(settings)
    for switch in ("do_thumbnail", "do_pad"):
        if settings.get(switch) is not True:
            raise Unknown(f"{switch} is {settings.get(switch)!r}")
    if isinstance(size, int) or settings.get("do_center_crop"):
        raise Unknown(f"size is {settings['size']!r}, do_center_crop {settings.get('do_center_crop')!r}")
    # Thumbnails are bicubic if no filter is passed on. transformers 4 (whose thumbnails have a gap) passes none, and the PIL
    # version of transformers 5 treats resample 0 as none.
    bicubic = gap is not None or interpolation == "nearest"
    second = Shrink(interpolation="bicubic" if bicubic else interpolation, sides="floor", gap=gap)
    turn = bool(settings.get("do_align_long_axis"))
    return size, Plain(fit="pad", interpolation=interpolation, turn=turn, shrink=second)


FITTED: dict[str, Callable[[Settings, float | None], tuple[Sides, Plain]]] = {
    "BeitImageProcessor": _standard,
    "BitImageProcessor": _standard,
    "BlipImageProcessor": _standard,
    "CLIPImageProcessor": _standard,
    "ChineseCLIPImageProcessor": _standard,
    "ConvNextImageProcessor": _convnext,
    "DINOv3ViTImageProcessor": _standard,
    "DPTImageProcessor": _dpt,
    "DeiTImageProcessor": _standard,
    "DonutImageProcessor": _donut,
    "EfficientNetImageProcessor": _standard,
    "LevitImageProcessor": _levit,
    "MobileNetV1ImageProcessor": _standard,
    "MobileNetV2ImageProcessor": _standard,
    "PoolFormerImageProcessor": _poolformer,
    "PvtImageProcessor": _standard,
    "SegformerImageProcessor": _uncropped,
    "SiglipImageProcessor": _standard,
    "ViTImageProcessor": _standard,
}
"""All supported processors, by class name."""
EXTRA: dict[str, frozenset[str]] = {
    "ConvNextImageProcessor": frozenset({"crop_pct"}),
    "DPTImageProcessor": frozenset({"keep_aspect_ratio", "ensure_multiple_of", "size_divisor"}),
    "DonutImageProcessor": frozenset({"do_thumbnail", "do_align_long_axis", "do_pad"}),
    "EfficientNetImageProcessor": frozenset({"rescale_offset", "include_top"}),
    "PoolFormerImageProcessor": frozenset({"crop_pct"}),
}
"""Settings that only one processor has."""
TORCH_ONLY = ("DINOv3ViTImageProcessor",)
"""Processors without a PIL version. They do not round after resizing, so kd's pixels can differ by one grey level."""


def _share(part: tuple[int, ...], whole: tuple[int, ...]) -> float:
    """The crop_pct for which `part / crop_pct`, rounded down, is exactly `whole`."""
    if any(p > w for p, w in zip(part, whole, strict=True)):
        raise Unknown(f"crop_size is {part}, larger than the {whole} it is cut from")
    share = part[0] / whole[0]
    for _ in range(3):
        if tuple(math.floor(p / share) for p in part) == whole:
            return share
        share = math.nextafter(share, 0.0)
    raise Unknown(f"crop_size {part} of {whole} changes the ratio")


def _size(settings: Settings, key: str) -> int | Sides:
    """A size setting: the shorter side, or both sides. Other forms are not supported."""
    value = settings.get(key)
    given = {name: side for name, side in value.items() if side is not None} if isinstance(value, Mapping) else {}
    sides = tuple(given.get(name) for name in ("height", "width", "shortest_edge") if name in given)
    whole = all(isinstance(s, int) and not isinstance(s, bool) and 0 < s <= LONGEST_SIDE for s in sides)
    if whole and given.keys() == {"shortest_edge"}:
        return int(given["shortest_edge"])
    if whole and given.keys() == {"height", "width"}:
        return int(given["height"]), int(given["width"])
    raise Unknown(f"{key} is {value!r}")


def _pair(settings: Settings, key: str) -> Sides:
    sides = _size(settings, key)
    if isinstance(sides, int):
        raise Unknown(f"{key} is {settings[key]!r}")
    return sides


def _crop_pct(settings: Settings) -> float:
    value = settings.get("crop_pct")
    if not isinstance(value, float | int) or isinstance(value, bool) or not 0.0 < value <= 1.0:
        raise Unknown(f"crop_pct is {value!r}")
    return float(value)


def _interpolation(settings: Settings) -> Interpolation:
    code = settings.get("resample")
    if isinstance(code, bool) or not isinstance(code, int) or int(code) not in RESAMPLING:
        raise Unknown(f"resample is {code!r}")
    return RESAMPLING[int(code)]
