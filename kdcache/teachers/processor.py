"""Preprocessing as a checkpoint's own `preprocessor_config.json` states it."""

from pathlib import Path
from typing import Any

from kdcache.errors import UsageError
from kdcache.spec import Preprocess
from kdcache.views.recipe import Interpolation, Plain

# PIL's codes, which image processors use.
RESAMPLING: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
CONVNEXT_WHOLE = 384
"""from this size on, ConvNeXt's processor squashes instead of cropping"""


def processor_settings(folder: Path) -> dict[str, Any] | None:
    """The image processor of a model folder with its class defaults filled in; None when the folder has none."""
    if not (folder / "preprocessor_config.json").is_file() and not (folder / "processor_config.json").is_file():
        return None
    from transformers import AutoImageProcessor

    settings: dict[str, Any] = AutoImageProcessor.from_pretrained(folder).to_dict()
    return settings


def from_processor(settings: dict[str, Any], name: str) -> Preprocess:
    """A processor's settings as a `Preprocess`; what it does not say, or says beyond ours, is an error."""
    _check_values(settings, name)
    interpolation = RESAMPLING.get(int(settings.get("resample", -1)))
    if interpolation is None:
        raise _unclear(name, f"resample is {settings.get('resample')!r}")
    size, fit, crop_pct = _geometry(settings, name)
    return Preprocess(
        size=size,
        geometry=Plain(fit=fit, crop_pct=crop_pct, interpolation=interpolation),
        mean=tuple(settings["image_mean"]),
        std=tuple(settings["image_std"]),
    )


def _check_values(settings: dict[str, Any], name: str) -> None:
    for switch in ("do_resize", "do_rescale", "do_normalize"):
        if settings.get(switch) is not True:
            raise _unclear(name, f"{switch} is {settings.get(switch)!r}")
    if abs(settings.get("rescale_factor", 0.0) * 255 - 1) > 1e-6:
        raise _unclear(name, f"rescale_factor is {settings.get('rescale_factor')!r}, not 1/255")
    for three in ("image_mean", "image_std"):
        if len(settings.get(three) or ()) != 3:
            raise _unclear(name, f"{three} is {settings.get(three)!r}")


def _geometry(settings: dict[str, Any], name: str) -> tuple[tuple[int, int], Any, float]:
    size, crop = dict(settings.get("size") or {}), dict(settings.get("crop_size") or {})
    edge = size.get("shortest_edge")
    if settings.get("do_thumbnail") and settings.get("do_pad") and "height" in size:
        return (size["height"], size["width"]), "pad", 1.0
    if edge and settings.get("crop_pct"):
        whole = edge >= CONVNEXT_WHOLE
        return (edge, edge), "squash" if whole else "crop", 1.0 if whole else settings["crop_pct"]
    if edge and settings.get("do_center_crop") and crop.get("height") == crop.get("width", 0) <= edge:
        return (crop["height"], crop["width"]), "crop", crop["height"] / edge
    if {"height", "width"} <= size.keys() and (not settings.get("do_center_crop") or crop == size):
        return (size["height"], size["width"]), "squash", 1.0
    raise _unclear(name, f"size is {size}, crop_size {crop}, do_center_crop {settings.get('do_center_crop')!r}")


def _unclear(name: str, reason: str) -> UsageError:
    return UsageError(
        f"the preprocessing of {name} is not one kd knows: {reason}",
        hint="pass a model whose processor resizes, crops or pads",
    )
