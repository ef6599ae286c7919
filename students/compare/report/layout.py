"""Tables of a comparison's page, and their style.

Input: names and cells. Output: markup. A table that is too wide for the screen scrolls sideways, with its first column in place.
"""

import re
from collections.abc import Iterable, Sequence

from students.report.markup import Markup, tag

STYLE = """
.answer{font-size:1.45rem;line-height:1.35;max-width:46rem;margin:.5rem 0 .8rem}
.one{max-width:46rem;margin-bottom:1.5rem}
.sure{max-width:46rem;margin:0 0 1.2rem}
.sure span{display:block;margin:.15rem 0}
.verdict{padding:0;margin:1rem 0;list-style:none;max-width:46rem}
.verdict li{background:var(--card);border:1px solid var(--rule);border-left:.3rem solid var(--c1);border-radius:.3rem;
padding:.5rem .8rem;margin:.5rem 0}
.side th:first-child{position:sticky;left:0;background:var(--paper);white-space:nowrap;padding-right:1.2rem}
.side th.in{padding-left:1rem}
.side thead th{color:var(--ink);font-weight:600}
.side small{display:block;color:var(--soft);font-size:.8rem}
.side thead span{display:block}
.side td,.side thead th{white-space:nowrap}
@media print{.scroll{overflow:visible}.side th:first-child{position:static;background:none}.side{font-size:.7rem}
.side td,.side thead th{padding-right:.5rem}
pre{white-space:pre-wrap}tr{break-inside:avoid}h2{break-after:avoid}}
""".strip()

_INTERVAL = re.compile(r"([^±(]*) (± .*|\([^)]*\))(.*?)")


def facts(rows: Iterable[tuple[str, str]]) -> Markup:
    """A table of names and values."""
    return tag("table", (tag("tr", tag("th", name), tag("td", what)) for name, what in rows), class_="facts")


def grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Markup:
    """A table with a name before each line and cells of numbers. A name that begins with two spaces is indented."""
    top = tag("tr", (_head(head, class_="n" if place else "t") for place, head in enumerate(heads)))
    body = [tag("tr", _name(name), (_cell(cell) for cell in cells)) for name, *cells in lines]
    return tag("div", tag("table", tag("thead", top), tag("tbody", body), class_="side"), class_="scroll")


def _head(name: str, *, class_: str) -> Markup:
    """Heading of an arm, with its option on a second line."""
    kind, colon, option = name.partition(":")
    return tag("th", kind, tag("span", colon + option) if colon else "", class_=class_)


def _name(name: str) -> Markup:
    return tag("th", name.strip(), class_="in" if name.startswith(" ") else "out", scope="row")


def _cell(text: str) -> Markup:
    """A cell of text; an interval is put under its mean: `3 ± 1`, or `3 (2 to 4) epochs`."""
    found = _INTERVAL.fullmatch(text)
    if found is None:
        return tag("td", text, class_="n")
    mean, interval, unit = found.groups()
    return tag("td", mean, unit, tag("small", interval), class_="n")
