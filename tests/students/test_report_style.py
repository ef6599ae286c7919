"""The colours of a page are told apart by everybody, in light and in dark; and without colours, by their dashes."""

import re

import numpy as np
import pytest

from students.report.chart import COLOURS, Series, line_chart
from students.report.style import STYLE

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear light.
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def theme(place):
    """Linear light of the card and of the colours: of the first or second :root of the sheet."""
    root = re.findall(r":root\{(.*?)\}", STYLE, re.DOTALL)[place]
    found = dict(re.findall(r"--(\w+):(#\w+)", root))
    return light(found["card"]), np.array([light(found[f"c{n}"]) for n in range(1, COLOURS + 1)])


def light(text):
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    values = np.array([int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def least_distance(colours, sight):
    seen = np.clip(colours @ np.array(SIGHT[sight]).T, 0, 1)
    places = np.cbrt(seen @ CONES.T) @ OKLAB.T
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return distances[~np.eye(len(colours), dtype=bool)].min()


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_colours_look_alike(place, sight):
    """0.1 in OKLab is about ten differences that can just be seen."""
    _, colours = theme(place)
    assert least_distance(colours, sight) > 0.1


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_every_colour_stands_out_from_its_card(place):
    """WCAG's 3 to 1 for graphics."""
    card, colours = theme(place)
    weights = np.array([0.2126, 0.7152, 0.0722])
    ours, under = colours @ weights + 0.05, card @ weights + 0.05
    assert (np.maximum(ours, under) / np.minimum(ours, under) >= 3).all()


def test_every_colour_has_dashes_of_its_own():
    dashes = dict(re.findall(r"\.(d\d)\{stroke-dasharray:([\d. ]+)\}", STYLE))
    assert set(dashes) == {f"d{n}" for n in range(2, COLOURS + 1)}, "the first line is whole"
    assert len(set(dashes.values())) == COLOURS - 1
    chart = line_chart("x", [Series("a", [(0, 1), (1, 2)], 3, dashed=True)], shown=str, across="step")
    assert 'class="line c3 d3"' in chart
