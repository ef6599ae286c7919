"""Read the preprocessing in a checkpoint's `preprocessor_config.json`, written for transformers' image processors.

Input: a model folder. Output: a `Preprocess` that gives the same pixels as the PIL version of the processor, or an error that
names a setting which kd does not support. processor_geometry.py has the geometry of each processor.
"""

import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.loading.processor_geometry import EXTRA, FITTED, TORCH_ONLY, Unknown, geometry_of
from kdcache.teachers.loading.weights import read_json

FILES = ("processor_config.json", "preprocessor_config.json")
"""Files that transformers reads, in this order; the first is used only if it has an `image_processor`."""
_PIXELS = {
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize", "image_mean",
    "image_std",
}  # fmt: skip
_SILENT = {
    # who wrote it, and for whom
    "image_processor_type", "feature_extractor_type", "processor_class", "auto_map", "transformers_version",
    "_name_or_path", "_processor_class", "_valid_processor_keys", "_valid_kwargs_names", "_auto_class", "_commit_hash",
    # how it is called
    "data_format", "input_data_format", "return_tensors", "device", "disable_grouping", "image_seq_length", "model_input_names",
    # already in the other settings, of label maps, of padding that is off, and of images that are RGB already
    "default_to_square", "do_reduce_labels", "reduce_labels", "pad_size", "do_convert_rgb",
}  # fmt: skip


def has_processor(folder: Path) -> bool:
    """Whether a model folder specifies the preprocessing."""
    return _raw(folder) is not None


def from_folder(folder: Path | None, name: str) -> Preprocess | None:
    """The preprocessing that a folder specifies; None without a folder, or if it specifies none."""
    return from_processor(folder, name) if folder is not None and has_processor(folder) else None


def from_processor(folder: Path, name: str) -> Preprocess:
    """Convert the processor of a model folder to a `Preprocess`; an error if kd does not support a setting."""
    raw = _raw(folder)
    assert raw is not None
    settings, form = _load(folder, raw, name)
    # transformers 4 has one class for all backends, whose thumbnails (Donut's) are first reduced by whole numbers.
    return from_settings(settings, name, gap=None if form.endswith("Pil") else 2.0)


def from_settings(settings: Mapping[str, Any], name: str, *, gap: float | None = None) -> Preprocess:
    """Convert the complete settings of a processor (with defaults) to a `Preprocess`."""
    kind = _plain_type(settings.get("image_processor_type"))
    try:
        _check_keys(kind, settings)
        size, geometry = geometry_of(kind, settings, gap)
        mean, std = _normalisation(kind, settings)
    except Unknown as unknown:
        raise _unclear(name, str(unknown)) from None
    return Preprocess(size=size, geometry=geometry, mean=mean, std=std)


def _raw(folder: Path) -> dict[str, Any] | None:
    for file in FILES:
        if (folder / file).is_file():
            read = read_json(folder / file)
            inner = read.get("image_processor") if file == FILES[0] else read
            if isinstance(inner, dict):
                return inner
    return None


def _plain_type(kind: object) -> str:
    """The name of a processor without the suffix of its backend; in older files it is a feature extractor."""
    text = str(kind).replace("FeatureExtractor", "ImageProcessor")
    return text.removesuffix("Pil").removesuffix("Fast")


def _load(folder: Path, raw: Mapping[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Load transformers' processor, the PIL version if there is one; returns its settings and class. Unknown ones are refused."""
    from transformers import AutoImageProcessor

    processor_type = raw.get("image_processor_type") or raw.get("feature_extractor_type")
    if processor_type is not None and _plain_type(processor_type) not in FITTED:
        raise _unclear(name, f"image_processor_type is {processor_type!r}")
    by_backend = find_spec("transformers.image_processing_backends") is not None
    form: dict[str, Any] = {"backend": "pil"} if by_backend else {"use_fast": False}
    try:
        processor = AutoImageProcessor.from_pretrained(
            folder, trust_remote_code=False, **({} if _plain_type(processor_type) in TORCH_ONLY else form)
        )
        return processor.to_dict(), type(processor).__name__
    except Exception as error:  # transformers can raise anything for invalid values in a stranger's file
        reason = str(error).strip().split("\n", 1)[0]
        raise _unclear(name, f"transformers cannot read it ({reason})") from error


def _check_keys(kind: str, settings: Mapping[str, Any]) -> None:
    """Refuse unknown settings, except switches that are off."""
    if kind not in FITTED:
        raise Unknown(f"image_processor_type is {kind!r}")
    known = _PIXELS | _SILENT | EXTRA.get(kind, frozenset())
    for key, value in settings.items():
        off = value is None or (value is False and key.startswith("do_"))
        if key not in known and not off:
            raise Unknown(f"{key} is {value!r}")


def _normalisation(kind: str, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """Mean and std for (pixel / 255 - mean) / std, converted from the processor's own scale of pixels.

    The processor computes (pixel * factor - offset - mean) / std; EfficientNet's may divide by std once more.
    """
    on = bool(settings.get("do_rescale"))
    factor = _number(settings, "rescale_factor") * 255.0 if on else 255.0
    factor = 1.0 if abs(factor - 1.0) < 1e-9 else factor
    offset = 1.0 if on and settings.get("rescale_offset") else 0.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if settings.get("do_normalize"):
        mean, std = three(settings, "image_mean"), three(settings, "image_std")
        if min(std) <= 0.0:
            raise Unknown(f"image_std is {settings['image_std']!r}")
    means = tuple((offset + m) / factor for m in mean) if offset or factor != 1.0 else mean
    twice = kind == "EfficientNetImageProcessor" and settings.get("include_top")
    if twice and not settings.get("do_normalize"):
        raise Unknown("include_top is True without do_normalize")
    return means, tuple((s * s if twice else s) / factor for s in std)


def _number(settings: Mapping[str, Any], key: str) -> float:
    value = settings.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise Unknown(f"{key} is {value!r}")
    return float(value)


def three(settings: Mapping[str, Any], key: str) -> tuple[float, float, float]:
    """A setting with one number per channel, or with one number for all channels."""
    value = settings.get(key)
    values = (value,) * 3 if isinstance(value, int | float) else value
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise Unknown(f"{key} is {value!r}")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one):
            raise Unknown(f"{key} is {value!r}")
    return float(values[0]), float(values[1]), float(values[2])


def _unclear(name: str, reason: str) -> UsageError:
    return UsageError(
        f"kd does not support the preprocessing of {name}: {reason}",
        hint="use a model with one of the image processors and settings in docs/preprocessing.md",
    )
