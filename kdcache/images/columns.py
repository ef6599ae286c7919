"""Choose the columns of a table that hold the image, its label and its id.

Input: the features of a `datasets` dataset and the columns that the user named. Output: column names. A column that the user
named is taken, else one with a usual name, else the only column of the right type. If several are left, an error asks for a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from kdcache.errors import UsageError

ROW_NUMBERS = "row"
_IMAGES = ("image", "img", "jpg", "png", "picture")
_LABELS = ("label", "labels", "fine_label", "class", "cls")
_IDS = ("image_id", "id", "__key__", "key", "file_name", "filename", "image_path", "path")


@dataclass(frozen=True)
class Columns:
    """Names of the chosen columns; None for a column that does not exist."""

    image: str
    label: str | None = None
    id: str | None = None
    classes: tuple[str, ...] | None = None


def choose_columns(features: dict[str, Any], wanted: dict[str, str]) -> Columns:
    """Choose the columns. `wanted` may name `image`, `label` and `id` (`row`: use row numbers as ids)."""
    for role in ("image", "label", "id"):
        name = wanted.get(role)
        if name is not None and name not in features and (role, name) != ("id", ROW_NUMBERS):
            near = get_close_matches(name, features, 1, 0.5)
            raise UsageError(
                f"no column {name!r} for {role}; there are {', '.join(features)}",
                hint=f"{role}={near[0]}" if near else f"name one of these as {role}=",
            )
    image = wanted.get("image") or _image(features)
    if _kind(features[image]) != "Image" and getattr(features[image], "dtype", None) not in ("binary", "large_binary"):
        raise UsageError(f"column {image!r} holds no images but {features[image]}", hint="name another: image=COLUMN")
    label = wanted.get("label") or _label(features)
    identity = wanted.get("id") or next((n for n in _IDS if n in features and _is_id(features[n])), None)
    names = getattr(features[label], "names", None) if label else None
    return Columns(image, label, None if identity == ROW_NUMBERS else identity, tuple(names) if names else None)


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _image(features: dict[str, Any]) -> str:
    images = [name for name, feature in features.items() if _kind(feature) == "Image"]
    named = [name for name in _IMAGES if name in images]
    if named or len(images) == 1:
        return (named or images)[0]
    if not images:
        raise UsageError(f"no image column among {', '.join(features)}", hint="name it: image=COLUMN")
    raise UsageError(f"several image columns: {', '.join(images)}", hint=f"name one: image={images[0]}")


def _label(features: dict[str, Any]) -> str | None:
    classes = [name for name, feature in features.items() if _kind(feature) == "ClassLabel"]
    named = [n for n in _LABELS if n in features and (n in classes or _is_number(features[n]))]
    return next(iter(named), classes[0] if len(classes) == 1 else None)


def _is_number(feature: Any) -> bool:
    return str(getattr(feature, "dtype", "")).startswith(("int", "uint"))


def _is_id(feature: Any) -> bool:
    return _kind(feature) == "Value" and (feature.dtype in ("string", "large_string") or _is_number(feature))
