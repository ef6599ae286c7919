"""Pictures and recipes that the tests of views share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from kdcache.views.recipe import Augment

CONFIGS = Path(__file__).parents[2] / "configs" / "views"


@pytest.fixture
def preset() -> Callable[[str], Augment]:
    """A view recipe of configs/views by name."""
    return lambda name: Augment.from_plain(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()))


@pytest.fixture
def everything(preset: Callable[[str], Augment]) -> Augment:
    """A recipe with every ingredient on."""
    jitter = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8}
    return Augment.from_plain(preset("tinyvit-1k").plain() | {"jitter": jitter})


@pytest.fixture
def smooth() -> NDArray[np.uint8]:
    """A picture without fine detail, 300 x 400, that looks different everywhere."""
    y, x = np.mgrid[0:300, 0:400] / 300.0
    bands = (np.cos(5 * x + 2 * y), np.cos(3 * y - 4 * x + 1), np.cos(6 * x * y + 2))
    return (127.5 + 120 * np.stack(bands, axis=-1)).astype(np.uint8)


@pytest.fixture
def woven() -> NDArray[np.uint8]:
    """A picture made of integers only, 120 x 160, the same on every machine."""
    y, x = np.mgrid[0:120, 0:160]
    return np.stack([3 * x + 5 * y, x * y // 16, x * x // 64 + y], axis=-1).astype(np.uint8)
