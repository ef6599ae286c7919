"""Samples as HTML cards: the embedded picture beside the predictions of student and teacher."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

from students.report.markup import Markup, join, tag
from students.report.samples import Guess, Sample, Samples

SMALL = 96
"""Largest side length of a picture that is embedded losslessly; larger ones are embedded as JPEG."""


def sample_cards(samples: Samples) -> Markup:
    """One card per image, and the notes."""
    cards = tag("div", map(_card, samples.images), class_="samples") if samples.images else ""
    return join(cards, (tag("p", note, class_="note") for note in [*samples.notes, *samples.missing]))


def _card(sample: Sample) -> Markup:
    sides = [_side("student", sample.student, sample.truth)]
    if sample.teacher is not None:
        sides.insert(0, _side("teacher", sample.teacher, sample.truth))
    small = max(sample.picture.shape[:2]) <= SMALL
    name = sample.truth or "class unknown"
    picture = tag("img", src=data_uri(sample.picture), alt=name, class_="small" if small else "large")
    head = tag("h4", name, tag("span", sample.image_id))
    return tag("div", picture, tag("div", head, tag("div", sides, class_="sides")), class_="sample")


def _side(who: str, guesses: list[Guess], truth: str | None) -> Markup:
    rows = [
        tag(
            "li",
            tag("span", guess.name, tag("em", " the true class") if place and guess.name == truth else ""),
            tag("span", percent(guess.probability)),
            style=f"--share:{guess.probability:.1%}",
            class_="true" if guess.name == truth else "other",
        )
        for place, guess in enumerate(guesses)
    ]
    return tag("div", tag("h5", who, _verdict(guesses, truth)), tag("ol", rows, class_="guesses"))


def _verdict(guesses: list[Guess], truth: str | None) -> Markup:
    """Whether the most likely class is right; a true class further down does not count."""
    if truth is None or not guesses:
        return join()
    right = guesses[0].name == truth
    return tag("span", " \u2713 right" if right else " \u2717 wrong", class_="right" if right else "wrong")


def percent(share: float) -> str:
    """A fraction of 1 as `99.6%`; a very small one as `<0.1%`."""
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A data: URI of a picture."""
    from PIL import Image

    kind = "png" if max(pixels.shape[:2]) <= SMALL else "jpeg"
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, kind, quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
