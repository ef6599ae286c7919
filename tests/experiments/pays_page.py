"""Combines what when_it_pays.py measured with the formula, and writes picture, JSON and the figures of docs/when-it-pays.md.

Input: one record a case. Output: files. Nothing is measured here, so the same measurements always give the same files.
"""

import json
import math
from pathlib import Path
from statistics import fmean, median
from typing import Any

from students.compare.position import Costs, position
from students.compare.result.sums import BreakEven, Spread, Workload, break_even
from tests.experiments.pays_picture import Example, Point, picture
from tests.experiments.trials import Found, interval, table

PAGE = Path(__file__).parents[2] / "docs" / "when-it-pays.md"
BEGIN, END = "<!-- measured by make experiment-when-it-pays -->", "<!-- end of what is measured -->"
NOT_YET = "Not measured yet."
NAME, FOLDER = "when-it-pays", "results"


def job(views: int, epochs: int, students: int) -> Workload:
    """A training on one image: the fraction that is saved does not depend on how many there are."""
    return Workload(images=1, views=views, epochs=float(epochs), students=students)


JOBS = (job(1, 6, 1), job(1, 6, 5), job(1, 90, 1), job(10, 90, 1), job(90, 90, 1), job(90, 90, 5))
LARGE, SMALL = 20.0, 0.25
"""What the teachers of the worked examples add to a step, about."""
WORKED = (
    ("A", LARGE, job(1, 6, 1), "One student of a teacher that is run once"),
    ("B", LARGE, job(1, 6, 5), "Five students from the same cache"),
    ("C", LARGE, job(90, 90, 1), "A new view in every epoch: 90 stored views"),
    ("D", SMALL, job(1, 6, 1), "A teacher that is smaller than the student"),
)


def results(every: list[Found], machine: str) -> Found:
    """All figures of the page."""
    cases = [{**measured, **_combined(measured)} for measured in every]
    known = [case["even"] for case in cases if case["even"] is not None]
    return {
        "machine": machine,
        "even": median(known) if known else 1.0,
        "cases": cases,
        "examples": [_example(cases, letter, ratio, asked) for letter, ratio, asked, _ in WORKED],
    }


def _combined(measured: Found) -> Found:
    ratios = [costs.ratio for costs in _repeats(measured)]
    pays = _break_even(measured)
    return {
        "ratio": _mean_costs(measured).ratio,
        "ratio_half": Spread.of(ratios).half,
        "even": None if pays is None else pays.epochs,
        "even_low": None if pays is None else pays.low,
        "even_high": None if pays is None else pays.high,
        "saves": [{**_plain(asked), **_saves(measured, asked).plain()} for asked in JOBS],
    }


def _repeats(measured: Found) -> list[Costs]:
    """The costs of each repeat, of which both ways ran one after the other."""
    pairs = zip(measured["connected"], measured["cached"], strict=True)
    return [Costs(connected=on, cached=off, view=measured["view"]) for on, off in pairs]


def _mean_costs(measured: Found) -> Costs:
    connected, cached = (fmean(measured[key]) for key in ("connected", "cached"))
    return Costs(connected=connected, cached=cached, view=measured["view"])


def _break_even(measured: Found) -> BreakEven | None:
    faster = Spread.of([costs.connected - costs.cached for costs in _repeats(measured)])
    return break_even(job(1, 1, 1), faster, Spread(mean=measured["view"], half=measured["view_half"]))


def _saves(measured: Found, asked: Workload) -> Spread:
    """The fraction saved by the mean times, and the interval over the repeats."""
    each = [position(costs, asked).saves for costs in _repeats(measured)]
    return Spread(mean=position(_mean_costs(measured), asked).saves, half=Spread.of(each).half)


def _plain(asked: Workload) -> Found:
    return {"views": asked.views, "epochs": asked.epochs, "students": asked.students}


def _example(cases: list[Found], letter: str, ratio: float, asked: Workload) -> Found:
    """A job with the measured teacher that comes nearest to a ratio."""
    positive = [case for case in cases if case["ratio"] > 0] or cases
    case = min(positive, key=lambda case: abs(math.log(max(case["ratio"], 1e-9) / ratio)))
    where = position(_mean_costs(case), asked)
    saves = {"saves": where.saves, "half": _saves(case, asked).half}
    return {
        "letter": letter,
        "case": case["name"],
        **_plain(asked),
        "uses": where.uses,
        **saves,
        "pays_after": where.epochs,
    }


def drawn(found: Found) -> str:
    """The picture."""
    cases = {case["name"]: case for case in found["cases"]}
    points = [
        Point(_pair(case), case["ratio"], case["even"], case["even_low"], case["even_high"] or math.inf)
        for case in cases.values()
        if case["even"] is not None
    ]
    titles = {letter: title for letter, _, _, title in WORKED}
    examples = [
        Example(one["letter"], titles[one["letter"]], cases[one["case"]]["ratio"], one["uses"])
        for one in found["examples"]
    ]
    return picture(points, found["even"], examples, found["machine"])


def figures(found: Found) -> str:
    """What stands between the two marks of the page."""
    cases = {case["name"]: case for case in found["cases"]}
    repeats = len(found["cases"][0]["connected"])
    minutes = sum(case["seconds"] for case in cases.values()) / 60
    lines = [
        f"Measured on {found['machine']}: {len(cases)} pairs of teacher and student, {_count(repeats, 'repeat')} of both ways "
        f"in turns, {minutes:.0f} minutes in all.",
        "",
        f"![When a cache pays: it costs time below the line, and saves more and more above it]({FOLDER}/{NAME}.svg)",
        "",
        *(_sentence(one, cases[one["case"]]) for one in found["examples"]),
        "",
        _table(found),
        "",
        f"± and the range in brackets are 95 % intervals over the repeats. All figures: [{NAME}.json]({FOLDER}/{NAME}.json).",
    ]
    return "\n".join(lines)


def _sentence(one: Found, case: Found) -> str:
    title = next(title for letter, _, _, title in WORKED if letter == one["letter"])
    adds = f"{_pair(case)}: a connected teacher adds {case['ratio']:.2g} steps"
    asked = f"{_count(one['views'], 'view')}, {_count(one['epochs'], 'epoch')} and {_count(one['students'], 'student')}"
    after, has = one["pays_after"], "has" if one["saves"] > 0 else "would have"
    paid = (
        "never pays for itself"
        if after is None
        else f"{has} paid for itself after {_count(float(f'{after:.3g}'), 'epoch')}"
    )
    verb = "saves" if one["saves"] >= 0 else "costs"
    share = interval_of({"mean": abs(one["saves"]), "half": one["half"]})
    used = f"With {asked} every stored view is used {_times(one['uses'])}"
    return f"- **{one['letter']}. {title}.** {adds}. {used}: the cache {verb} {share} % of the time, and {paid}."


def _table(found: Found) -> str:
    jobs = [f"{one['views']} × {one['epochs']:g} × {one['students']}" for one in found["cases"][0]["saves"]]
    heads = ["teacher and student", "ms an image: connected", "cached", "teacher adds, steps", "paid for after, uses"]
    rows = []
    for case in found["cases"]:
        times = [f"{1000 * fmean(case[key]):.1f}" for key in ("connected", "cached")]
        half = "" if case["ratio_half"] is None else f" ± {case['ratio_half']:.2g}"
        shares = [interval_of(one) for one in case["saves"]]
        rows.append([_pair(case), *times, f"{case['ratio']:.2g}{half}", _even(case), *shares])
    note = "The last columns: per cent of the time saved with so many views × epochs × students."
    return f"{note}\n\n{table([*heads, *jobs], rows)}"


def interval_of(one: Found) -> str:
    """A fraction in per cent with its interval."""
    if one["half"] is None:
        return interval([one["mean"]])
    return f"{100 * one['mean']:.1f} ± {100 * one['half']:.1f}"


def _even(case: Found) -> str:
    if case["even"] is None:
        return "never"
    if case["even_high"] == case["even_low"]:
        return f"{case['even']:.2f}"
    high = "never" if case["even_high"] is None else f"{case['even_high']:.2f}"
    return f"{case['even']:.2f} ({case['even_low']:.2f} to {high})"


def _pair(case: Found) -> str:
    teacher = "florence nano" if case["teacher"] == "florence" else case["teacher"].removeprefix("timm:")
    return f"{teacher} at {case['sees']}, {case['student']} at {case['pixels']} pixels"


def _count(number: float, one: str) -> str:
    return f"{number:g} {one}{'' if number == 1 else 's'}"


def _times(uses: float) -> str:
    return "once" if uses == 1 else f"{uses:.2g} times"


def filled(page: str, inside: str) -> str:
    """The page with other text between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"docs/{NAME}.md has lost its marks"
    return f"{before}{BEGIN}\n\n{inside}\n\n{END}{after}"


def write(found: dict[str, Any], folder: Path, page: Path) -> None:
    """Write the JSON and the picture into the folder, and the figures into the page."""
    (folder / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / f"{NAME}.svg").write_text(drawn(found), encoding="utf-8")
    page.write_text(filled(page.read_text("utf-8"), figures(found)), encoding="utf-8")
