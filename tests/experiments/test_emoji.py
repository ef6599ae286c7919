"""Emoji of two packages become folders of classes; a package that is not the pinned one becomes nothing."""

import base64
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest
from PIL import Image

from kdcache.errors import Damage, Unavailable
from kdcache.images import open_source
from tests.experiments import emoji
from tests.experiments.emoji import Vendor, make_real_images

LISTED: list[dict[str, Any]] = [
    *({"image": f"1f6{n:02x}.png", "category": "Travel & Places", "tones": 0} for n in range(3)),
    *({"image": f"1f3{n:02x}-fe0f.png", "category": "Activities", "tones": 5} for n in range(2)),
    {"image": "1f3fb.png", "category": "Component", "tones": 0},
    {"image": "1f6ff.png", "category": "Travel & Places", "tones": 0, "only": "google"},
]


def picture(vendor):
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 128) if vendor == "google" else (0, 0, 255, 0)).save(file, "PNG")
    return file.getvalue()


def package(folder, name, *, without=()):
    """A package as npm packs it, with members that must not be unpacked -> the vendor that pins it."""
    listed = [
        {
            "image": its["image"],
            "category": its["category"],
            **{f"has_img_{vendor}": its.get("only", vendor) == vendor for vendor in ("google", "twitter")},
            **({"skin_variations": {str(tone): {} for tone in range(its["tones"])}} if its["tones"] else {}),
        }
        for its in LISTED
    ]
    members = {"package/emoji.json": json.dumps(listed).encode(), "package/img/other/64/1f600.png": b"another vendor's"}
    members |= {f"package/img/{name}/64/{its['image']}": picture(name) for its in LISTED if its["image"] not in without}
    members[f"package/img/{name}/64/../../../../outside.png"] = b"outside"
    path = folder / f"emoji-datasource-{name}-16.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return Vendor(name, base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode())


@pytest.fixture
def part(tmp_path):
    """Where the packages are put before the folder `real` is made."""
    (tmp_path / "real.part").mkdir()
    return tmp_path / "real.part"


def both(part, **asked):
    return {"train": package(part, "google", **asked), "val": package(part, "twitter")}


def test_pictures_lie_in_a_folder_a_class_the_same_emoji_in_both_with_their_transparency(tmp_path, part):
    chosen = make_real_images(tmp_path / "real", both(part), fewest=2)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    inside = ["activities/1f300-fe0f.png", "activities/1f301-fe0f.png"]
    inside += [f"travel-places/1f6{n:02x}.png" for n in range(3)]
    assert names == [f"real/{split}/{name}" for split in ("train", "val") for name in inside]
    assert chosen is not None
    assert (chosen.tones, chosen.few) == (10, {"Component": 1})
    assert Image.open(tmp_path / "real/train" / inside[0]).getpixel((0, 0)) == (255, 0, 0, 128)
    listing = open_source(str(tmp_path / "real/train")).scan()
    assert (listing.classes, len(listing)) == (("activities", "travel-places"), 5)
    assert not part.exists(), "the packages are not kept"


def test_a_package_that_is_not_the_pinned_one_is_refused_and_nothing_is_made(tmp_path, part):
    vendors = both(part)
    path = part / vendors["val"].file
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(Damage, match=r"is not emoji-datasource-twitter 16\.0\.0: its sha512 is") as refusal:
        make_real_images(tmp_path / "real", vendors, fewest=2)
    assert refusal.value.hint == f"rm {path}, then make real-images"
    assert not (tmp_path / "real").exists()


def test_a_picture_that_the_list_promises_and_the_package_lacks_is_named(tmp_path, part):
    with pytest.raises(Damage, match=r"lists 1f600\.png, but does not contain it"):
        make_real_images(tmp_path / "real", both(part, without=("1f600.png",)), fewest=2)
    assert not (tmp_path / "real").exists()


def test_what_was_made_is_not_fetched_again(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    monkeypatch.setattr(emoji, "fetch", lambda *_: pytest.fail("fetched again"))
    assert make_real_images(tmp_path / "real") is None


def test_without_npm_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm, which downloads emoji-datasource-google, is not installed") as refusal:
        make_real_images(tmp_path / "real")
    assert f"put emoji-datasource-google-16.0.0.tgz into {tmp_path / 'real.part'} yourself" in (
        refusal.value.hint or ""
    )
