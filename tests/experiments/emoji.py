"""Real pictures, not shipped: emoji of two vendors as folders of classes, for training on one vendor and judging on the other.

    make real-images        # python -m tests.experiments.emoji kd/real-images

Input: two packages of the npm registry, pinned by version and digest. Output: FOLDER/train/CLASS and FOLDER/val/CLASS with PNGs
of 64 pixels, transparency and all, the same emoji in both. A class is a category of emoji.json.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcache.errors import Damage, KDError, Unavailable

VERSION = "16.0.0"
FEWEST = 50
"""A class needs this many pictures of each vendor."""
LIST = "package/emoji.json"
_PICTURE = re.compile(r"[0-9a-z]+(-[0-9a-z]+)*\.png")
_MIB = 1 << 20


@dataclass(frozen=True)
class Vendor:
    """A package of one vendor's pictures."""

    name: str
    sha512: str
    """Digest of the package's file in base64, as npm writes it in lock files."""

    @property
    def package(self) -> str:
        """What npm calls it."""
        return f"emoji-datasource-{self.name}"

    @property
    def file(self) -> str:
        """Name that `npm pack` gives the file."""
        return f"{self.package}-{VERSION}.tgz"


VENDORS = {
    "train": Vendor(
        "google", "ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A=="
    ),
    "val": Vendor(
        "twitter", "7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ=="
    ),
}


def fetch(vendor: Vendor, folder: Path) -> Path:
    """The package's file in `folder`, downloaded by npm unless it is there already, and checked."""
    path = folder / vendor.file
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        words = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
        hint = f"install npm and allow it to reach a registry, or put {vendor.file} into {folder} yourself"
        try:
            subprocess.run([*words, f"{vendor.package}@{VERSION}"], check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise Unavailable(f"npm, which downloads {vendor.package}, is not installed", hint=hint) from None
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"npm could not download {vendor.package} {VERSION}", hint=hint) from error
    check(vendor, path)
    return path


def check(vendor: Vendor, path: Path) -> None:
    """Damage unless the file has the pinned digest."""
    with path.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode("ascii")
    if found != vendor.sha512:
        raise Damage(
            f"{path} is not {vendor.package} {VERSION}: its sha512 is {found}, not {vendor.sha512}",
            hint=f"rm {path}, then make real-images",
        )


def unpack(vendor: Vendor, path: Path) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The list of emoji, and the pictures of 64 pixels by file name. Nothing is written, and other members are skipped."""
    listed, pictures, folder = b"[]", dict[str, bytes](), f"package/img/{vendor.name}/64/"
    with tarfile.open(path, "r:gz") as tar:
        for member in tar:
            name = member.name.removeprefix(folder)
            wanted = member.name == LIST or (name != member.name and _PICTURE.fullmatch(name))
            if not wanted or not member.isfile() or member.size > 8 * _MIB:
                continue
            file = tar.extractfile(member)
            assert file is not None
            if member.name == LIST:
                listed = file.read()
            else:
                pictures[name] = file.read()
    return json.loads(listed), pictures


@dataclass(frozen=True)
class Chosen:
    """The pictures that become folders."""

    classes: dict[str, str]
    """File name -> class."""
    tones: int
    """Variants of skin tone, which are left out: they are nearly the same picture five times over."""
    few: dict[str, int]
    """Categories with too few pictures -> how many they have."""


def choose(listed: list[dict[str, Any]], vendors: list[str], fewest: int = FEWEST) -> Chosen:
    """The emoji that all vendors have drawn, in categories of at least `fewest`."""
    drawn = [emoji for emoji in listed if all(emoji[f"has_img_{vendor}"] for vendor in vendors)]
    counts = Counter(emoji["category"] for emoji in drawn)
    classes = {emoji["image"]: _folder(emoji["category"]) for emoji in drawn if counts[emoji["category"]] >= fewest}
    tones = sum(len(emoji.get("skin_variations", {})) for emoji in drawn)
    return Chosen(classes, tones, {name: count for name, count in counts.items() if count < fewest})


def _folder(category: str) -> str:
    """`people-body` for `People & Body`."""
    return re.sub(r"[^a-z0-9]+", "-", category.lower()).strip("-")


def lay_out(pictures: dict[str, bytes], classes: dict[str, str], folder: Path) -> None:
    """Write CLASS/NAME.png; Damage if a picture that the list promises is missing."""
    for name, its in classes.items():
        if name not in pictures:
            raise Damage(f"the package lists {name}, but does not contain it", hint="report this")
        place = folder / its
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(pictures[name])


def make_real_images(folder: Path, vendors: dict[str, Vendor] = VENDORS, fewest: int = FEWEST) -> Chosen | None:
    """Fetch and lay out; None if that was done before. The folder has its name only when it is complete."""
    if folder.is_dir():
        return None
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part / "sets", ignore_errors=True)
    chosen = None
    for split, vendor in vendors.items():
        listed, pictures = unpack(vendor, fetch(vendor, part))
        chosen = choose(listed, [each.name for each in vendors.values()], fewest)
        lay_out(pictures, chosen.classes, part / "sets" / split)
    (part / "sets").rename(folder)
    shutil.rmtree(part)
    return chosen


def main(folder: Path) -> None:
    """Make the folder and say what is in it."""
    try:
        chosen = make_real_images(folder)
    except KDError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
    if chosen is not None:
        few = ", ".join(f"{count} of {name}" for name, count in chosen.few.items())
        print(f"left out   {chosen.tones:,} variants of skin tone; {few}: a class needs {FEWEST}")
    for split, vendor in VENDORS.items():
        counts = {place.name: len(list(place.iterdir())) for place in sorted((folder / split).iterdir())}
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"{folder / split}  {sum(counts.values()):,} pictures by {vendor.name}: {shown}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
