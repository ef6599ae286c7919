"""Views drawn today are drawn again tomorrow: digests of a few renderings, kept in golden.json.

`python tests/views/test_golden.py` writes them anew. A difference means that caches built before no longer replay: that is
a new meaning of a seed, and needs a word in the notes of the release.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import yaml
from numpy.typing import NDArray

from kdcache.base.digest import json_digest, pixel_digest
from kdcache.views import draw, view_pixels
from kdcache.views.recipe import Augment, Plain

GOLDEN = Path(__file__).with_name("golden.json")
CONFIGS = Path(__file__).parents[2] / "configs" / "views"
PRESETS = ("tinyvit-22k", "tinyvit-1k", "data2vec")
IDS = ("n01440764/one.jpg", "n01443537/two.jpg", "ünïcode/three.png")


def recipes() -> dict[str, Plain | Augment]:
    presets = {name: Augment.from_plain(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())) for name in PRESETS}
    jitter = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    jittered = Augment.from_plain(presets["data2vec"].plain() | {"jitter": jitter})
    plain = {f"plain-{fit}": Plain.from_plain({"fit": fit, "crop_pct": 0.875}) for fit in ("crop", "squash", "pad")}
    return {**plain, **presets, "jitter": jittered}


def load(image_id: str) -> NDArray[np.uint8]:
    """A picture made of integers only."""
    y, x = np.mgrid[0:90, 0 : 100 + 10 * IDS.index(image_id)]
    return np.stack([3 * x + 5 * y, x * y // 16, x * x // 64 + y], axis=-1).astype(np.uint8)


def rendered(recipe: Plain | Augment) -> list[int]:
    return [
        pixel_digest(view_pixels(recipe, seed=11, view=view, row=row, size=(48, 56), ids=IDS, load=load))
        for row in range(len(IDS))
        for view in range(4)
    ]


def drawn(recipe: Plain | Augment) -> str:
    return json_digest([draw(recipe, seed=11, image_id=image_id, view=9).as_json() for image_id in IDS])


def everything() -> dict[str, Any]:
    return {
        "pillow": PIL.__version__,
        "pixels": {name: rendered(recipe) for name, recipe in recipes().items()},
        "drawn": {name: drawn(recipe) for name, recipe in recipes().items()},
    }


@pytest.mark.parametrize("name", recipes())
def test_parameters_are_drawn_as_ever(name: str) -> None:
    assert drawn(recipes()[name]) == json.loads(GOLDEN.read_text())["drawn"][name]


@pytest.mark.parametrize("name", recipes())
def test_views_render_as_ever(name: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert rendered(recipes()[name]) == golden["pixels"][name], (
        f"{name} renders other pixels than it did with Pillow {golden['pillow']}; this is Pillow {PIL.__version__}"
    )


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(everything(), indent=1) + "\n")
