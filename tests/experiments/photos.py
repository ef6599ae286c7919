"""Makes the photos of docs/guides/own-photos.md: python -m tests.experiments.photos FOLDER"""

import sys
from collections import Counter
from pathlib import Path

from PIL import Image

from kdcache.images import load, open_source

CLASSES = 12
EACH = {"train": 40, "val": 15}


def make_photos(folder: Path) -> None:
    """The first classes of the embedded images as JPEGs of 96 pixels in class folders."""
    for split, each in EACH.items():
        source = open_source(f"shapes:split={split}")
        listing = source.scan()
        assert listing.labels is not None
        assert listing.classes is not None
        made: Counter[int] = Counter()
        for row, number in enumerate(listing.labels.tolist()):
            if number < CLASSES and made[number] < each:
                place = folder / split / listing.classes[number].replace(" ", "-")
                place.mkdir(parents=True, exist_ok=True)
                picture = Image.fromarray(load(source, str(listing.ids[row])))
                picture.resize((96, 96)).save(place / f"{made[number]:03d}.jpg", quality=92)
                made[number] += 1


if __name__ == "__main__":
    make_photos(Path(sys.argv[1]))
