"""The job that costs are computed for: the user's own, or that of `--project`, and its text.

Input: the text of `--project`. Output: a Workload; and the text that gives a Workload again.
"""

import math
import re

from kdcache.errors import UsageError
from students.compare.result.sums import Workload

_SCALES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([kKMG]?)")
_WORDS = {
    "n_images": "images",
    "epochs": "epochs",
    "students": "students",
    "views": "views",
    "gpus": "gpus",
    "price": "price",
    "watts": "watts",
}
_FRACTIONS = ("epochs", "price", "watts")


def projected(text: str, job: Workload) -> Workload:
    """A job of another size: `n_images=14.2M epochs=90 gpus=8`."""
    found: dict[str, float] = {}
    for word in text.replace(",", " ").split():
        key, equals, value = word.partition("=")
        if key not in _WORDS or not equals:
            raise UsageError(
                f"--project {word!r} is not KEY=NUMBER with a known key", hint=f"KEY=NUMBER with {', '.join(_WORDS)}"
            )
        found[_WORDS[key]] = _number(word, value, whole=key not in _FRACTIONS)
    return Workload.from_plain({**job.plain(), **found})


def _number(word: str, text: str, *, whole: bool) -> float:
    known = _NUMBER.fullmatch(text)
    try:
        number = float(known[1]) * _SCALES[known[2]] if known else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise UsageError(f"--project {word}: {text!r} is not a number", hint="such as n_images=14.2M")
    if not 0 < number < math.inf or (whole and abs(number - round(number)) > 1e-6 * number):
        raise UsageError(f"--project {word}: must be {'a whole number' if whole else 'a number'} above 0")
    return round(number) if whole else number


def project_text(job: Workload) -> str:
    """The text of `--project` that gives this job: `n_images=20000 epochs=6 views=1 students=1`."""
    price = {} if not job.price else {"price": job.price}
    watts = {} if not job.watts else {"watts": job.watts}
    gpus = {} if job.gpus == 1 else {"gpus": job.gpus}
    named = {"n_images": job.images, "epochs": job.epochs, "views": job.views, "students": job.students}
    return " ".join(f"{key}={_plain(value)}" for key, value in {**named, **gpus, **price, **watts}.items())


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(value).removesuffix(".0")
