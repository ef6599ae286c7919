"""Nothing outside the folder of a kind asks which one it has: by its name, its class, or a field that it alone has."""

import re

import pytest

from tests.toy_trip.trip import ROOT

OWN = ("students/families/*/", "students/objectives/", "kdcache/teachers/families/")
"""Folders of the kinds themselves."""
ASKS = {
    "which family it is, by a field of one": r"blocks is",
    "which objective it is, by its class": r"isinstance\(.*objective",
    "which task it was, by a number of its report": r'"top3" in',
    "which signal it is, by its name": r'[!=]= ?"(logits|embedding|features|targets|inputs)"',
    "which signal it is, by a name that was given a name": r"\.name [!=]= (LOGITS|HEAD_SIGNAL|EMBEDDING)",
    "which family, teacher or task it is, by its name": r'(family|teacher|task|kind)(\.name)? [!=]= "'
    r'(tinyvit|data2vec|clip|florence|donut|timm|hf|classify|retrieve|knn|probe|few-shot|labels|hint|match|pruned)"',
}


def lines() -> list[tuple[str, str]]:
    """Every line of the packages outside those folders, and where it stands."""
    own = {path for pattern in OWN for folder in ROOT.glob(pattern) for path in folder.rglob("*.py")}
    files = [path for part in ("kdcache", "students", "cli") for path in (ROOT / part).rglob("*.py") if path not in own]
    return [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in sorted(files)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
    ]


LINES = lines()


@pytest.mark.parametrize("asks", ASKS)
def test_nobody_asks(asks):
    assert len(LINES) > 10_000
    assert [f"{place}: {line.strip()}" for place, line in LINES if re.search(ASKS[asks], line)] == []


@pytest.mark.parametrize(
    "line",
    ["if student.blocks is None:", "if isinstance(recipe.objective, Labels):", 'if "top3" in numbers:',
     'if name == "logits":', "next(s for s in signals if s.name == LOGITS)", 'if spec.family == "tinyvit":'],
)  # fmt: skip
def test_what_is_looked_for_would_be_seen(line):
    assert any(re.search(pattern, line) for pattern in ASKS.values())
