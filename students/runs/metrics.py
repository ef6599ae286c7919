"""Reads and checks the lines of metrics.jsonl.

Input: the file of a run, which may come from a stranger. Output: its lines, each with a kind, a step and otherwise only numbers
small enough to be drawn. Damage names the first line that is not like that.
"""

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kdcache.base.atomic import storage_errors
from kdcache.base.foreign import opened
from kdcache.base.plain_json import NotPlain, parse_json
from kdcache.errors import Damage
from students.base.validation import NAME

MOST_LINE_BYTES = 1 << 16
"""Largest line of metrics.jsonl, in bytes."""
MOST_LINES = 1_000_000
"""Largest number of lines of metrics.jsonl that are read."""
MOST_STEPS = 1 << 53
LARGEST = 1e100
ENDED = ("done", "patience", "steps")
_NEEDED = {"train": ("epoch", "images", "seconds", "waiting"), "val": (), "end": ()}
_WORDS = ("kind", "stopped", "set")
_NAME = re.compile(NAME)
LOSSES = "losses"
"""Key of the losses by name in a training line: `{"labels.soft": 4.6}`."""
MOST_LOSSES = 64
"""Largest number of losses in a line."""
MOST_LETTERS = 100
"""Longest name of a loss, in characters."""
_FIRST = {"soft": "labels.soft", "hard": "labels.hard"}
"""Keys by which the first release wrote its only two losses -> their names now."""


def lines_of(file: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The complete lines of metrics.jsonl, as bytes and parsed; a last line cut short by a crash is left out."""
    with opened(file, hint="restore it from a copy") as lines, storage_errors(file, "read"):
        number = 0
        while line := lines.readline(MOST_LINE_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                if len(line) == MOST_LINE_BYTES:
                    raise _damage(file, number, f"it is longer than {MOST_LINE_BYTES:,} bytes")
                return
            line = line[:-1]
            try:
                values = parse_json(line)
            except NotPlain as reason:
                raise _damage(file, number, str(reason)) from reason
            if wrong := _wrong(values):
                raise _damage(file, number, wrong)
            yield line, values


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """The parsed lines, oldest first."""
    found = []
    for _, values in lines_of(file):
        found.append(_named(values))
        if len(found) > MOST_LINES:
            raise Damage(f"{file} has more than {MOST_LINES:,} lines", hint="remove some of them", path=str(file))
    return found


def _named(line: dict[str, Any]) -> dict[str, Any]:
    """The line with its losses by name, also if the first release wrote it."""
    if line["kind"] != "train" or LOSSES in line:
        return line
    rest = {key: value for key, value in line.items() if key not in _FIRST}
    return rest | {LOSSES: {name: line[key] for key, name in _FIRST.items() if line.get(key) is not None}}


def _damage(file: Path, number: int, reason: str) -> Damage:
    way = f"remove that line: sed -i {number}d {shlex.quote(str(file))}"
    return Damage(f"line {number} of {file} is damaged: {reason}", hint=way, path=str(file))


def _wrong(values: Any) -> str | None:
    """Reason why a line is not valid; None if it is."""
    if not isinstance(values, dict):
        return "it is not a JSON object"
    kind, step = values.get("kind"), values.get("step")
    if not isinstance(kind, str) or kind not in _NEEDED:
        return f"its kind is not one of {', '.join(_NEEDED)}"
    if type(step) is not int or not 0 <= step <= MOST_STEPS:
        return "it has no step"
    called = values.get("set", "none")
    if not isinstance(called, str) or not _NAME.fullmatch(called):
        return "`set` is not the name of a validation set"
    if odd := [name for name, value in values.items() if name not in (*_WORDS, LOSSES) and not _is_number(value)]:
        return f"its {odd[0]} is not a number"
    if LOSSES in values and not _are_losses(values[LOSSES]):
        return "`losses` does not map names to numbers"
    lacking = [name for name in _NEEDED[kind] if values.get(name) is None]
    if (
        kind == "val" and values.get("score") is None and values.get("top1") is None
    ):  # the first releases wrote only top-1
        lacking.append("score")
    if lacking:
        return f"it has no {lacking[0]}"
    if kind == "end" and values.get("stopped") not in ENDED:
        return f"`stopped` is not one of {', '.join(ENDED)}"
    return None


def _are_losses(losses: Any) -> bool:
    """Whether a value maps names to numbers, with few and short enough names to be drawn."""
    if not isinstance(losses, dict) or len(losses) > MOST_LOSSES:
        return False
    return all(len(name) <= MOST_LETTERS and value is not None and _is_number(value) for name, value in losses.items())


def _is_number(value: Any) -> bool:
    """Whether a value is a number, a boolean or null."""
    return value is None or (isinstance(value, int | float) and math.isfinite(value) and abs(value) <= LARGEST)


def latest_by_step(lines: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The lines of a kind by step. If a step was taken twice, because the run was resumed, its last line counts.

    With several validation sets a step has one line per set.
    """
    found = {(line["step"], line.get("set") or ""): line for line in lines if line["kind"] == kind}
    return [found[key] for key in sorted(found)]


def score_of(line: dict[str, Any]) -> float:
    """The score of a validation; in the first releases it was always top-1."""
    return float(line["top1"] if line.get("score") is None else line["score"])


def scores_by_step(lines: Iterable[dict[str, Any]], best: str) -> dict[int, float]:
    """Step -> the score that selects the best weights: that of the set `best`, or the mean of all sets."""
    at: dict[int, dict[str, float]] = {}
    for line in latest_by_step(lines, "val"):
        at.setdefault(line["step"], {})[line.get("set") or ""] = score_of(line)
    return {step: deciding(scores, best) for step, scores in at.items()}


def deciding(scores: Mapping[str, float], best: str) -> float:
    """The score that selects the best weights: that of the set `best`, or the mean of all sets."""
    return scores[best] if best in scores else sum(scores.values()) / len(scores)
