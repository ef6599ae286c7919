from pathlib import Path

import pytest

from tests.images.samples import FORMATS, encode, jpeg, picture, write


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two class folders, five images."""
    root = tmp_path / "flowers"
    for seed, name in enumerate(("rose/2.jpg", "rose/10.jpg", "aster/1.jpg", "aster/deep/3.JPEG", "aster/b.jpg")):
        write(root / name, jpeg(seed))
    return root


@pytest.fixture
def every_format(tmp_path: Path) -> Path:
    """One image of each format, flat."""
    root = tmp_path / "formats"
    for form in FORMATS:
        write(root / f"{form}.{ENDINGS[form]}", encode(picture(), form))
    return root


ENDINGS = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "WEBP": "webp",
    "BMP": "bmp",
    "TIFF": "tif",
    "PPM": "ppm",
    "JPEG2000": "jp2",
    "AVIF": "avif",
}
