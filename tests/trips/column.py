"""One column of the table: the figures of all commands on one day.

Input: what happened inside each command, and the seconds of its plain runs. Output: plain values, kept in trips.json.
"""

from collections import Counter
from statistics import median
from typing import Any

from tests.trips.ran import Happening

Column = dict[str, Any]
WALL, CORES = "seconds, median", "seconds of a core, median"
COUNTS = (("scan", "scans of a source"), ("open", "openings of a cache"), ("plan", "plan.json opened to be read"))


def figures(noted: list[Happening], wall: list[float], cores: list[float]) -> dict[str, Any]:
    """Everything the table says of one command, by row."""
    ours = [one for one in noted if one["first"]]
    found: dict[str, Any] = {
        "files with a function entered": len(_names(ours, "entered")),
        "files imported": len(_names(ours, "imported")),
        "torch imported": "yes" if any(one["kind"] == "torch" for one in ours) else "no",
        "child processes": len({one["pid"] for one in noted if not one["first"]}),
    }
    for kind, words in COUNTS:
        outer = [one["first"] for one in noted if one["kind"] == kind and (kind == "plan" or not one["inner"])]
        found[f"{words}, in it"] = outer.count(True)
        found[f"{words}, in children"] = outer.count(False)
    return found | {WALL: round(median(wall), 2), CORES: round(median(cores), 2)}


def origins(noted: list[Happening]) -> list[dict[str, Any]]:
    """Where each scan, opening and reading of a plan came from; those alike are one entry with their number."""
    kinds = [kind for kind, _ in COUNTS]
    alike = Counter(
        (one["kind"], one["process"], one["what"], one["inner"], tuple(one["sites"]))
        for one in noted
        if one["kind"] in kinds
    )
    return [
        {"kind": kind, "process": process, "what": what, "inner": inner, "times": times, "sites": list(sites)}
        for (kind, process, what, inner, sites), times in sorted(alike.items(), key=lambda one: kinds.index(one[0][0]))
    ]


def children(noted: list[Happening]) -> dict[str, int]:
    """How many processes the command started, by what they were started as."""
    return dict(Counter(process for _, process in {(one["pid"], one["process"]) for one in noted if not one["first"]}))


def entered(noted: list[Happening]) -> list[str]:
    """The files the first row counts, by name."""
    return sorted(_names([one for one in noted if one["first"]], "entered"))


def _names(noted: list[Happening], kind: str) -> set[str]:
    return {one["what"] for one in noted if one["kind"] == kind}
