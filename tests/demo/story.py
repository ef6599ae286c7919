"""The story of the demo: the answers of its commands as sentences.

Input: what the commands answer with --json. Output: lines.
"""

import json
import math
from pathlib import Path
from textwrap import wrap
from typing import Any

from kdcache.base.figures import duration, size

WIDTH = 110
ALONE = "demo.json"
"""Results of `make experiment-demo` in docs/results: the same student on true classes."""


def built(cache: dict[str, Any], info: dict[str, Any]) -> list[str]:
    """What the teacher is, and what its one run took."""
    teacher = info["plan"]["teacher"]
    name, sees = f"{teacher['family']}-{teacher['size']}", teacher["preprocess"]["size"][0]
    good = accuracy(teacher["family"], teacher["size"])
    took = "It ran before" if not cache["parts_built"] else f"It ran in {duration(cache['seconds'])}"
    return [
        f"{name} sees {sees} pixels and classifies {good:.1%} of 2,000 held-out images correctly.",
        f"{took} over {cache['rows']:,} images, and will not run again.",
    ]


def accuracy(family: str, named: str) -> float:
    """The accuracy that the header of the weights in the package records."""
    from kdcache.base.tensors import read_metadata
    from kdcache.teachers.registry import family_of

    return float(read_metadata(family_of(family).in_package(named).weights())["accuracy"])


def stored(info: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """What the cache holds and weighs, and one of its rows."""
    rows = info["plan"]["dataset"]["rows"]
    codecs = ", ".join(f"{each['signal']['name']} as {each['codec']}" for each in info["plan"]["signals"])
    logits, names = row["signals"]["logits"], info["plan"]["teacher"]["classes"]
    pairs = list(zip(logits["ids"], logits["log_probabilities"], strict=True))[:3]
    top = ", ".join(f"{math.exp(its):.0%} {names[number]}" for number, its in pairs)
    return [
        f"{size(info['bytes'])} for {rows:,} images ({codecs}), {info['bytes'] / rows:.0f} bytes an image.",
        f"Of {row['image_id']}, a {names[row['label']]}, the teacher says: {top}.",
    ]


def trained(run: dict[str, Any], judged: dict[str, Any], results: Path) -> list[str]:
    """How good the student is, beside the same student on true classes."""
    took = f"It took {duration(run['seconds'])} for {run['images']:,} views"
    lines = [f"{took}, and classifies {judged['top1']:.1%} of the held-out images correctly."]
    file = results / ALONE
    if file.is_file():
        alone = json.loads(file.read_text("utf-8"))["true classes"]
        lines.append(f"The same student reaches {alone} on true classes (docs/results/demo.md: 3 seeds).")
    return lines


def compared(found: dict[str, Any]) -> list[str]:
    """What the cache saves against a connected teacher, and where the page is."""
    answer = found["verdict"]["answer"]
    sentences = [answer["sentence"], answer["certainty"], f"The page: {found['report']}"]
    return [line for sentence in sentences for line in wrap(sentence, WIDTH)]
