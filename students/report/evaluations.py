"""What `kd eval` found out about a run, as a reader sees it: accuracies, the most frequent confusions, how sure it may be."""

from collections.abc import Mapping, Sequence

from kdcache.base.figures import plural
from students.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from students.report.markup import Markup, join, tag
from students.tasks.classify import Report
from students.tasks.evaluate import Evaluation
from students.tasks.few_shot import FewShotReport
from students.tasks.reading import ReadReport
from students.tasks.retrieve import RetrieveReport

_CONFUSED, _WEAKEST = 12, 8


def evaluation_section(found: Mapping[str, Evaluation], weights: str | None, run: str) -> Markup:
    """Tables and pictures of all evaluations; those of other weights than the run has now are marked."""
    if not found:
        return tag("p", "None yet: ", tag("code", f"kd eval {run}"), " makes one.", class_="note")
    named = [(e.report, e.weights_sha256 == weights) for e in found.values()]
    classified = [(report, fresh) for report, fresh in named if isinstance(report, Report)]
    few_shot = [(report, fresh) for report, fresh in named if isinstance(report, FewShotReport)]
    parts = [_accuracies(classified)] if classified else []
    parts += [_few_shot(report, fresh) for report, fresh in few_shot]
    embedded = [(report, fresh) for report, fresh in named if isinstance(report, RetrieveReport | ReadReport)]
    parts += [_embedded(embedded)] if embedded else []
    if not all(fresh for _, fresh in named):
        parts.append(tag("p", "* of earlier weights: the run has been trained on since.", class_="note"))
    parts += [_details(report) for report, _ in classified if report.real is None]
    return join(parts)


def _accuracies(reports: list[tuple[Report, bool]]) -> Markup:
    heads = ("images of", "images", "top-1", "95 % interval", "top-5", "loss", "calibration error")
    rows = []
    for report, fresh in reports:
        shared = [f"{report.loss:.3f}", f"{report.calibration_error:.3f}"]
        rows.append(
            _row(report.data, fresh, report.images, report.top1, report.interval, f"{report.top5:.1%}", *shared)
        )
        if report.real:
            real = report.real
            name = f"{report.data}, reassessed labels"
            rows.append(_row(name, fresh, real.images, real.top1, real.interval, "", "", ""))
    return table(heads, rows)


def _row(
    name: str, fresh: bool, images: int, top1: float, interval: tuple[float, float], *others: str
) -> tuple[str, ...]:
    span = f"{interval[0]:.1%} – {interval[1]:.1%}"
    return (name + ("" if fresh else " *"), f"{images:,}", f"{top1:.2%}", span, *others)


def _few_shot(report: FewShotReport, fresh: bool) -> Markup:
    asked = report.settings
    title = f"Few-shot: {report.data}{'' if fresh else ' *'}, {asked.episodes:,} episodes of {asked.way} classes"
    rows = [(f"{m.shots}", f"{m.accuracy:.2%} ± {m.half_width:.2%}") for m in report.marks]
    return join(tag("h3", title), table(("shots", "accuracy"), rows))


_TOLD = {"probe": "a linear probe", "knn": "a vote of the nearest 20"}


def _embedded(reports: list[tuple[RetrieveReport | ReadReport, bool]]) -> Markup:
    """Embeddings, one row a task and way round."""
    rows = []
    for report, fresh in reports:
        about = report.about
        if isinstance(report, ReadReport):
            marks = _row(about.data, fresh, about.images, report.marks.top1, report.marks.interval)
            rows.append((_TOLD[report.task], *marks, about.bank, ""))
            continue
        ways = ((about.data, about.bank, report.marks.found), (about.bank, about.data, report.marks.inverse))
        for asked, bank, way in ways:
            marks = _row(asked, fresh, way.queries, way.top1, way.interval)
            rows.append(("the nearest image", *marks, bank, f"{way.top3:.1%}"))
    heads = ("read by", "images of", "images", "top-1", "95 % interval", "against", "one of three")
    return join(tag("h3", "Embeddings"), table(heads, rows))


def _details(report: Report) -> Markup:
    confused = [(true, guess, f"{images:,}") for true, guess, images in report.most_confused(_CONFUSED)]
    left = [tag("h3", f"Most confused: {report.data}"), table(("was", "was taken for", "images"), confused)]
    weakest = sorted(report.classes, key=lambda c: (c.right / c.images, c.number))[:_WEAKEST]
    rows = [(c.name, f"{c.right / c.images:.0%}", f"{c.right:,} of {c.images:,}") for c in weakest]
    right = [tag("h3", "Weakest classes"), table(("class", "right", "images"), rows), _calibration(report)]
    return join(tag("div", tag("div", left if confused else ""), tag("div", right), class_="pair"), _unusable(report))


def _unusable(report: Report) -> Markup:
    if not report.rejected:
        return Markup("")
    rows = list(report.rejected.items())
    return tag(
        "details", tag("summary", f"{plural(len(rows), 'image')} cannot be used"), table(("image", "why"), rows[:200])
    )


def _calibration(report: Report) -> Markup:
    """How often guesses of about the same probability are right, beside how sure they are."""
    side_x, side_y = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    width = side_x / len(report.bins)
    bars = [
        tag(
            "rect",
            tag("title", f"{b.images:,} images, mean probability {b.confidence:.1%}, right {b.accuracy:.1%}"),
            x=f"{LEFT + place * width + 1:.1f}",
            y=f"{TOP + side_y * (1 - b.accuracy):.1f}",
            width=f"{width - 2:.1f}",
            height=f"{side_y * b.accuracy:.1f}",
            opacity=f"{0.25 + 0.75 * b.images / max(o.images for o in report.bins):.2f}",
            fill="currentColor",
        )
        for place, b in enumerate(report.bins)
        if b.images
    ]
    edge = tag("line", x1=LEFT, y1=HEIGHT - BOTTOM, x2=WIDTH - RIGHT, y2=TOP, class_="grid")
    feet = [
        tag("text", f"{share:.0%}", x=LEFT + side_x * share, y=HEIGHT - BOTTOM + 15, text_anchor="middle")
        for share in (0, 0.5, 1)
    ]
    sides = [
        tag("text", f"{share:.0%}", x=LEFT - 6, y=TOP + side_y * (1 - share) + 4, text_anchor="end")
        for share in (0, 0.5, 1)
    ]
    axis = tag("text", "probability of the first guess", x=LEFT + side_x / 2, y=HEIGHT - 4, text_anchor="middle")
    caption = tag(
        "figcaption", f"How often it is right, by how sure it is (calibration error {report.calibration_error:.3f})"
    )
    drawing = tag(
        "svg", edge, tag("g", bars, class_="c1"), feet, sides, axis,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label="calibration",
    )  # fmt: skip
    note = "Darker bars hold more images; on the line, it is right as often as it says."
    return tag("figure", caption, drawing, tag("p", note, class_="note"), class_="chart")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Markup:
    """A table whose columns of numbers end flush."""
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(heads))]
    kind = ["n" if flush else "t" for flush in numeric]
    top = tag("tr", (tag("th", head, class_=kind[place]) for place, head in enumerate(heads)))
    body = (tag("tr", (tag("td", cell, class_=kind[place]) for place, cell in enumerate(row))) for row in rows)
    return tag("div", tag("table", tag("thead", top), tag("tbody", body)), class_="scroll")


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit()
