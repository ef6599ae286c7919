"""The page of a run: the student, its training curves, sample predictions, evaluations and provenance."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdcache.base.figures import duration, plural
from kdcache.signals.teacher import Weights
from kdcache.store.plan import Dataset
from students.judging.kept import Evaluation
from students.judging.measures import measure_of
from students.report.curves import curves, curves_of
from students.report.document import document
from students.report.evaluations import evaluation_section
from students.report.markup import Markup, join, tag
from students.report.pictures import sample_cards
from students.report.samples import Samples
from students.runs.caches import CacheRecord
from students.runs.metrics import latest_by_step, score_of, scores_by_step
from students.runs.record import RunRecord
from students.runs.validation import ValidationSet

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Facts:
    """Everything a page is made from."""

    run: str
    record: RunRecord
    metrics: Sequence[dict[str, Any]]
    evaluations: dict[str, Evaluation]
    weights_sha256: str | None
    """Digest of the best weights; None: the run has no weights yet."""
    taught: Samples
    unseen: Samples


def page(facts: Facts) -> str:
    """The whole document."""
    record = facts.record
    title = f"{facts.run}: {record.student.name}"
    return document(
        title,
        _head(facts),
        _tiles(facts),
        tag("h2", "Training"),
        curves(facts.metrics, curves_of(record)),
        tag("h2", "Samples"),
        _taught(facts),
        tag("h3", "Validation images"),
        sample_cards(facts.unseen),
        tag("h2", "Evaluations"),
        evaluation_section(facts.evaluations, facts.weights_sha256, facts.run),
        tag("h2", "Provenance"),
        _provenance(facts),
    )


def _taught(facts: Facts) -> Markup:
    """Training images with both predictions; nothing for a student without classes."""
    if not facts.record.student.classes:
        return Markup("")
    return join(tag("h3", "Training images, with the teacher's predictions"), sample_cards(facts.taught))


def _head(facts: Facts) -> Markup:
    record = facts.record
    height, width = record.student.input
    taught = {
        "off": "trained from a cache" if len(record.all_caches) == 1 else "trained from caches",
        "on": "trained with a connected teacher",
        "none": "trained on true classes only",
    }
    teachers = " and ".join(f"{cache.teacher.family} {cache.teacher.size}" for cache in record.all_caches)
    count = len(record.student.classes)
    names = plural(count, "class", "classes") if count else "no classifier,"
    words = (
        f"{record.student.name}, {names} at {height}×{width}, "
        f"{taught[record.stream]}{teachers and f' of {teachers}'}, {_images(record)} of {record.dataset.name}"
    )
    return join(tag("h1", facts.run), tag("p", words, class_="soft"), _stamp(record))


def _images(record: RunRecord) -> str:
    rows = plural(record.dataset.rows, "image")
    return f"{record.dataset.rows - record.rejected:,} of {rows}" if record.rejected else rows


def _stamp(record: RunRecord) -> Markup:
    """A warning if a teacher had random weights: then the student learnt nothing, whatever the curves look like."""
    if not any(cache.teacher.has_random_weights for cache in record.all_caches):
        return Markup("")
    return tag(
        "p", "RANDOM WEIGHTS: this teacher was never trained; the run only measures time and memory", class_="stamp"
    )


def _best(facts: Facts) -> Rows:
    """The best validation: its score, and the scores of the single sets, or the other numbers of its task."""
    measure, drawn = measure_of(facts.record), curves_of(facts.record)
    scores = scores_by_step(facts.metrics, facts.record.recipe.judge.best)
    if not scores:
        return []
    step = (max if measure.higher_is_better else min)(scores, key=lambda at: scores[at])
    lines = [line for line in latest_by_step(facts.metrics, "val") if line["step"] == step]
    rows = [(measure.text(scores[step]), f"best {measure.name}, step {step:,}")]
    if len(lines) > 1:
        return rows + [(measure.text(score_of(line)), f"{line.get('set', 'all')} there") for line in lines]
    others = drawn.get(lines[0].get("set"), {}).items()
    values = [(lines[0].get(key), name) for key, name in others]
    return rows + [
        (measure.text(value), f"{name} there") for value, name in values if value not in (None, scores[step])
    ]


def _tiles(facts: Facts) -> Markup:
    metrics = facts.metrics
    train, tiles = latest_by_step(metrics, "train"), _best(facts)
    if train:
        last = train[-1]
        waited = sum(line["waiting"] for line in train) / len(train)
        tiles += [
            (f"{last['step']:,}", f"step{'s' * (last['step'] != 1)}, {last['epoch']:.3g} epochs"),
            (f"{last['images'] / (last['seconds'] or 1):,.0f}", "images per second"),
            (f"{waited:.1%}", "of the time spent waiting for data"),
            (duration(last["seconds"]), f"of training; {_ended(metrics)}"),
        ]
    return tag(
        "div", (tag("div", tag("b", value), tag("span", what), class_="tile") for value, what in tiles), class_="tiles"
    )


def _ended(metrics: Sequence[dict[str, Any]]) -> str:
    end = latest_by_step(metrics, "end")
    words = {"done": "it ran to its end", "patience": "it stopped early", "steps": "it stopped at the given step"}
    return words[end[-1]["stopped"]] if end else "it is not finished"


def _provenance(facts: Facts) -> Markup:
    record = facts.record
    student = record.student
    details = [f"{label} {text}" for label, text in student.details.items()]
    rows: Rows = [
        ("student", ", ".join([student.name, student.described, *details])),
        ("its weights", f"best.safetensors, sha256 {facts.weights_sha256}" if facts.weights_sha256 else "none yet"),
        ("started from", record.started_from or student.begun),
        ("images", _dataset(record.dataset)),
        ("views", f"{record.views.count:,} of {record.views.recipe.kind}, seed {record.views.seed}"),
        *(_validation(each) for each in record.validation or (None,)),
        ("seed", str(record.seed)),
        *_teachers(record),
        ("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())),
    ]
    listed = tag("table", (tag("tr", tag("th", key), tag("td", value)) for key, value in rows), class_="facts")
    return join(
        listed,
        _folded("Recipe", record.recipe.plain()),
        _folded("View recipe", record.views.recipe.model_dump(mode="json")),
        _folded("Everything in run.json", record.plain()),
    )


def _validation(of: ValidationSet | None) -> tuple[str, str]:
    if of is None:
        return ("validation", "none")
    against = f", compared with {_dataset(of.bank)}" if of.bank else ""
    return (f"validation {of.name}" if of.name else "validation", _dataset(of.data) + against)


def _dataset(dataset: Dataset) -> str:
    return f"{dataset.rows:,} of {dataset.name}, fingerprint {dataset.fingerprint}"


def _teachers(record: RunRecord) -> Rows:
    rows = [row for cache in record.all_caches for row in _teacher(cache)]
    return rows or [("teacher", "none")]


def _teacher(cache: CacheRecord) -> Rows:
    teacher = cache.teacher
    height, width = teacher.preprocess.size
    rows = [
        ("teacher", f"{teacher.family} {teacher.size}, {teacher.precision}, sees {height}×{width}"),
        ("teacher's weights", _weights(teacher.weights)),
        ("cache", f"{cache.name}, {cache.path}" if cache.name else cache.path),
        ("cache identity", cache.identity),
        ("stored signals", ", ".join(f"{signal} as {codec}" for signal, codec in cache.signals.items())),
    ]
    return rows if teacher.head is None else [*rows[:2], ("teacher's head", _weights(teacher.head)), *rows[2:]]


def _weights(weights: Weights) -> str:
    stamp = "RANDOM WEIGHTS, " if weights.random else ""
    return f"{stamp}{weights.source}, sha256 {weights.sha256}"


def _folded(title: str, value: Any) -> Markup:
    return tag("details", tag("summary", title), tag("pre", json.dumps(value, indent=2, ensure_ascii=False)))
