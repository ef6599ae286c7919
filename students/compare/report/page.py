"""The report of a comparison as one page: verdict, table, charts, costs and provenance.

Input: a Comparison and its Verdict. Output: self-contained HTML.
"""

from kdcache.base.figures import plural, size
from kdcache.signals.teacher import Weights
from students.compare.caches import BASE
from students.compare.measuring.measure import Measured
from students.compare.report.charts import answer_chart, cost_charts, loss_chart, memory_charts, note, time_chart
from students.compare.report.layout import STYLE, facts, grid
from students.compare.report.worked import papers_section, sums_section
from students.compare.result.answer import Answer
from students.compare.result.comparison import Comparison
from students.compare.result.table import heading, table
from students.compare.result.verdict import Verdict
from students.compare.result.words import NOT_THERE, milliseconds, reach
from students.report.document import document
from students.report.markup import Markup, join, tag


def page(found: Comparison, judged: Verdict, *, papers: bool = False) -> str:
    """The whole document. `papers`: with the figures of two papers beside ours."""
    names = [arm.name for arm in found.arms]
    title = f"{found.student}, trained {len(names)} ways"
    return document(
        title,
        _stamp(found),
        _answer(judged.answer),
        answer_chart(judged),
        tag("h2", title),
        tag("p", f"{', '.join(names[:-1])} and {names[-1]}", class_="soft"),
        _compared(found, judged),
        _verdict(judged),
        tag("h2", "Side by side"),
        _side_by_side(found, judged),
        tag("h2", "Charts"),
        _pictures(found, judged),
        tag("h2", "Cost of the whole job"),
        sums_section(found, judged),
        _papers(judged) if papers else "",
        tag("h2", "All repeats"),
        _repeats(found),
        tag("h2", "Provenance"),
        _provenance(found),
        style=STYLE,
    )


def _answer(answer: Answer) -> Markup:
    first, *others = answer.sentences
    return join(tag("h1", first, class_="answer"), tag("p", (tag("span", each) for each in others), class_="sure"))


def _papers(judged: Verdict) -> Markup:
    return join(tag("h2", "The papers' figures beside ours"), papers_section(judged))


def _stamp(found: Comparison) -> Markup:
    """A warning if the teacher has random weights: then time and memory are valid, scores are not."""
    if not found.teacher.has_random_weights:
        return Markup("")
    return tag(
        "p", "RANDOM WEIGHTS: this teacher was never trained; time and memory are valid, scores are not", class_="stamp"
    )


def _verdict(judged: Verdict) -> Markup:
    return tag("ul", (tag("li", sentence) for sentence in judged.sentences), class_="verdict")


def _compared(found: Comparison, judged: Verdict) -> Markup:
    rows = next(iter(found.built.values())).rows
    return facts([*heading(found, judged), ("images", f"{rows:,} of {found.images}")])


def _side_by_side(found: Comparison, judged: Verdict) -> Markup:
    several = any(len(each) > 1 for each in found.measured.values())
    sentence = (
        "± is the 95 % interval of the mean over the repeats."
        if several
        else "Measured once, so there are no intervals."
    )
    return join(grid(["", *(row.arm for row in judged.rows)], table(found, judged)), tag("p", sentence, class_="note"))


def _pictures(found: Comparison, judged: Verdict) -> Markup:
    charts = [time_chart(found, judged), memory_charts(judged), cost_charts(judged), loss_chart(found)]
    return join(tag("div", charts, class_="charts"), tag("p", " ".join(note(found)), class_="note"))


def _repeats(found: Comparison) -> Markup:
    heads = (
        "",
        "seed",
        "a step",
        "images/s",
        "memory",
        "last loss",
        found.metric,
        "teacher loaded",
        "weights at the end",
    )
    lines = [_repeat(found, arm.name, one) for arm in found.arms for one in found.measured[arm.name]]
    marked = [
        _repeat(found, f"{name}, disturbed", one) for each in found.disturbed for name, one in each.measured.items()
    ]
    note = "What is called disturbed was measured again, and counts nowhere else on this page." if marked else ""
    return join(grid(heads, [*lines, *marked]), tag("p", note, class_="note"))


def _repeat(found: Comparison, name: str, one: Measured) -> tuple[str, ...]:
    return (
        name,
        str(one.seed),
        milliseconds(one.step_seconds),
        f"{one.images_per_second:,.3g}",
        size(one.peak_memory if one.allocated is None else one.allocated),
        f"{one.losses[-1]:.4f}",
        NOT_THERE if one.score is None else found.measure.text(one.score),
        "yes" if one.imported_teacher else "no",
        one.weights[:12],
    )


def _provenance(found: Comparison) -> Markup:
    teacher = found.teacher
    height, width = teacher.preprocess.size
    head = [] if teacher.head is None else [("its head", _weights(teacher.head))]
    rows = [
        ("teacher", f"{teacher.family} {teacher.size}, {teacher.precision}, sees {height}×{width}"),
        ("its weights", _weights(teacher.weights)),
        *head,
        *((f"its {signal}", where) for signal, where in teacher.taps.items()),
        ("images", found.images),
        *((f"cache {name}", _cache(found, name)) for name in found.built),
    ]
    return facts(rows)


def _cache(found: Comparison, name: str) -> str:
    built = found.built[name]
    made = "" if name == BASE else f", converted from {BASE}"
    amount = f"{plural(built.rows, 'image')} × {plural(built.views, 'view')}"
    kept = " and ".join(f"{signal} {codec}" for signal, codec in built.signals.items())
    return f"{size(built.bytes)} for {amount}, {reach(built.image, milliseconds)} each: {kept}{made}"


def _weights(weights: Weights) -> str:
    stamp = "RANDOM WEIGHTS, " if weights.random else ""
    return f"{stamp}{weights.source}, sha256 {weights.sha256}"
