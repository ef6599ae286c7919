"""Versions of the libraries that could change a byte or a number: every plan and run records them, to explain differences."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

PIXELS = ("kd-cache", "numpy", "pillow")
NUMBERS = ("torch", "timm", "transformers")
FILES = ("h5py", "zarr")
DECODERS = {"libjpeg-turbo": "libjpeg_turbo", "libwebp": "webp", "openjpeg": "jpg_2000", "libavif": "avif"}
"""Libraries inside Pillow that decode lossy formats -> Pillow's name for each."""


def library_versions() -> dict[str, str]:
    """Installed versions by library name; libraries that are not installed are left out."""
    from PIL import features

    found: dict[str, str] = {}
    for name in (*PIXELS, *NUMBERS, *FILES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, feature in DECODERS.items():
        if (its := features.version(feature)) is not None:
            found[name] = str(its)
    return found


def changed_versions(recorded: Mapping[str, str], *, numbers: bool) -> dict[str, tuple[str, str]]:
    """Changed libraries -> (recorded, installed) version: those that draw pixels and, with `numbers`, those that compute."""
    now = library_versions()
    names = (*PIXELS, *DECODERS, *(NUMBERS if numbers else ()))
    then = {name: recorded[name] for name in names if name in recorded}
    return {name: (its, now.get(name, "none")) for name, its in then.items() if its != now.get(name, "none")}


def way_back(recorded: Mapping[str, str], *, numbers: bool) -> str | None:
    """What changed and how to undo it: `pillow was 11.3.0 and is 12.0.0 (pip install pillow==11.3.0)`; None if nothing did."""
    changed = changed_versions(recorded, numbers=numbers)
    lines = []
    for name, (then, now) in changed.items():
        lines.append(f"{name} was {then} and is {now} ({_undo(name, then)})")
    return "; ".join(lines) or None


def _undo(name: str, then: str) -> str:
    if name in DECODERS:
        return "Pillow brings it"
    return "use that release" if name == "kd-cache" else f"pip install {name}=={then}"
