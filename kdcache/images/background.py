"""The background of transparent pixels: a colour, or none if the alpha channel is dropped.

Pictures with alpha are mostly drawings, logos and cut-outs made for a white page, so `white` is the default: on black, dark
ink would vanish. `drop` uses the stored colours even where they are transparent, as Pillow's `convert("RGB")` does in most
training code. Images for a student must be read with the background it was trained with.
"""

from typing import Annotated

from pydantic import AfterValidator

Colour = tuple[int, int, int]
WHITE, DROP = "white", "drop"
FORMS = "white, black, drop (ignore alpha), or R,G,B from 0 to 255"
_NAMED: dict[str, Colour] = {WHITE: (255, 255, 255), "black": (0, 0, 0)}


def canonical(text: str) -> str:
    """A background in its canonical spelling: `white`, `black`, `drop` or `R,G,B`. ValueError for anything else."""
    if text in _NAMED or text == DROP:
        return text
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise ValueError(FORMS)
    red, green, blue = map(int, parts)
    if max(red, green, blue) > 255:
        raise ValueError(FORMS)
    named = (name for name, colour in _NAMED.items() if colour == (red, green, blue))
    return next(named, f"{red},{green},{blue}")


def colour_of(background: str) -> Colour | None:
    """The background colour; None if alpha is dropped."""
    if background == DROP:
        return None
    if background in _NAMED:
        return _NAMED[background]
    red, green, blue = map(int, background.split(","))
    return red, green, blue


def described(background: str) -> str:
    """A short description of a background for people."""
    return "alpha dropped" if background == DROP else f"transparency on {background}"


Background = Annotated[str, AfterValidator(canonical)]
"""Type of a record's field that holds a background."""
