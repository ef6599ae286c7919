"""Sample images with the predictions of student and teacher; the teacher is not run.

Input: a run. Output: samples drawn at random by the run's seed. The teacher's predictions are read from the run's cache, for
view 0; an image that no longer renders to the same pixels is left out. If something is missing (images have moved, the cache was
removed), a note says so, and the report is written without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kdcache.base.dice import Dice
from kdcache.base.progress import Silent
from kdcache.cache import Cache
from kdcache.check.sampling import VerifyOptions, sample, views_that_drift
from kdcache.codecs.distribution import Distribution
from kdcache.errors import KDError, Mismatch
from kdcache.images import load, open_source
from kdcache.images.source import Source
from kdcache.render import Rendered, RenderPool
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.plan import PartId
from kdcache.views.recipe import drawable
from students.base.types import LOGITS
from students.families.registry import head_of
from students.families.spec import StudentSpec
from students.judging.evaluate import images_of
from students.judging.judged import EMBEDDING, head_names
from students.judging.matching import is_unnamed
from students.judging.network import at_rest, normalised
from students.report.nearest import BANK, nearest_classes
from students.runs.caches import all_signals, find_signals
from students.runs.run import Run

if TYPE_CHECKING:
    from torch import nn

GUESSES = 5
LARGEST = 320
"""Longest side of a picture on the page, in pixels."""
_CHOICE = 0x5A3B21


@dataclass(frozen=True)
class Guess:
    """A class and its predicted probability; for a student without classes, the class of a near image and its cosine."""

    name: str
    probability: float


@dataclass(frozen=True)
class Sample:
    """One image with the predictions for it."""

    image_id: str
    truth: str | None
    picture: NDArray[np.uint8]
    """Picture to show: the whole image, or the random view that was judged."""
    student: list[Guess]
    teacher: list[Guess] | None = None


@dataclass
class Samples:
    """Sample images, with notes about them."""

    images: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Sentences about samples that could not be shown."""


def validation_samples(run: Run, network: "nn.Module", count: int) -> Samples:
    """Validation images with the student's predictions."""
    found, spec = Samples(), run.record.student
    if not run.record.validation:
        found.notes.append("The run has no validation images.")
        return found
    heads = head_names(spec)
    if LOGITS not in heads and EMBEDDING not in heads:
        found.notes.append(
            f"No predictions: {spec.name} has the heads {', '.join(heads)}, neither logits nor an embedding."
        )
        return found
    try:
        images = images_of(run, None)
        images = images.named_by(spec) if LOGITS in heads else images
        words = Dice(run.record.seed, len(images), purpose=_CHOICE).words(len(images))
        rows = np.sort(np.argsort(words, kind="stable")[:count])
        images = replace(images, ids=[images.ids[row] for row in rows], labels=images.labels[rows])
        pool = RenderPool(
            images.source, spec.geometry, seed=0, size=spec.input, ids=images.ids, workers=0, batch=len(images)
        )
        (rendered,) = pool.batches([(0, range(len(images)))])
        guesses = guesses_of(network, spec, rendered) if LOGITS in heads else _nearest(run, network, rendered)
    except KDError as error:
        found.missing.append(f"Validation images cannot be shown: {error.message}.")
        return found
    if LOGITS not in heads:
        found.notes.append(
            f"The classes are those of the nearest of at most {BANK} training images, with their cosine."
        )
    for row, image_id in enumerate(images.ids):
        if row in rendered.bad:
            found.notes.append(f"{image_id} was drawn as a sample, but cannot be read: {rendered.bad[row]}.")
        else:
            truth = _name(images.classes, int(images.labels[row]))
            picture = whole_picture(images.source, image_id, spec.geometry.background)
            found.images.append(Sample(image_id, truth, picture, guesses[row]))
    return found


def taught_samples(run: Run, network: "nn.Module", count: int) -> Samples:
    """Training images with the predictions of student and teacher."""
    found = Samples()
    if LOGITS not in head_names(run.record.student):
        return found
    if not run.record.all_caches:
        found.notes.append("The run was trained without a cache, so there are no predictions of a teacher.")
        return found
    try:
        cache, signal = _its_cache(run)
        rows, changed = _unchanged_rows(run, cache, count)
        found.notes += [
            f"{cache.ids[row]} was drawn as a sample, but has changed since the teacher saw it." for row in changed
        ]
        if rows:
            found.images += _taught(run, cache, signal, network, rows)
        if cache.plan.views.recipe.kind != "plain":
            found.notes.append("The pictures are the random views that the teacher saw, not the whole images.")
    except KDError as error:
        found.missing.append(f"The teacher's predictions cannot be shown: {error.message}.")
    return found


def _its_cache(run: Run) -> tuple[Cache, Signal]:
    """The cache with a distribution over classes, and that signal: the one that was matched, where there are several."""
    records = run.record.all_caches
    able = [place for place in all_signals(records) if place.signal.names_classes]
    matched = [place for address in run.record.recipe.needs.signals for place in find_signals(address, able)]
    if not able:
        kept = "; ".join(f"{record.path} keeps {', '.join(record.signals)}" for record in records)
        raise Mismatch(f"{kept} and no distribution over classes")
    recorded, signal = (matched or able)[0]
    cache = Cache.open(recorded.path)
    if cache.plan.identity != recorded.identity:
        raise Mismatch(f"{recorded.path} is {cache.plan.identity} now, the run was trained from {recorded.identity}")
    drawable(cache.plan.views.recipe)
    return cache, signal


def _unchanged_rows(run: Run, cache: Cache, count: int) -> tuple[list[int], list[int]]:
    """Rows of view 0 drawn by the run's seed: those that still render to the same pixels, and those that do not."""
    store = Store.open(cache.path)
    parts: list[PartId] = [part for part in store.built() if part.view == 0]
    drawn = sample(store, parts, count, run.record.seed) if parts else []
    drifted = views_that_drift(store, open_source(cache.plan.dataset.source), drawn, VerifyOptions(), Silent())
    changed = sorted(found.rows.start for found in drifted if found.rows is not None)
    return [row for _, rows in drawn for row in rows if row not in changed], changed


def _taught(run: Run, cache: Cache, signal: Signal, network: "nn.Module", rows: Sequence[int]) -> list[Sample]:
    spec, plan = run.record.student, cache.plan
    pool = RenderPool(
        open_source(plan.dataset.source),
        drawable(plan.views.recipe),
        seed=plan.views.seed,
        size=spec.input,
        ids=cache.ids,
        workers=0,
        batch=len(rows),
    )
    (rendered,) = pool.batches([(0, rows)])
    guesses, samples = guesses_of(network, spec, rendered), []
    source, whole = open_source(plan.dataset.source), plan.views.recipe.kind == "plain"
    for place, row in enumerate(rows):
        entry = cache.get(cache.ids[row])
        truth = None if entry.label is None else _name(cache.classes, entry.label)
        theirs = teacher_guesses(entry[signal.name], _teacher_names(cache, spec, signal))
        background = spec.geometry.background
        picture = whole_picture(source, entry.image_id, background) if whole else rendered.pixels[place]
        samples.append(Sample(entry.image_id, truth, picture, guesses[place], theirs))
    return samples


def whole_picture(source: Source, image_id: str, background: str) -> NDArray[np.uint8]:
    """The whole image, reduced to at most LARGEST pixels on its longer side."""
    from PIL import Image

    picture = Image.fromarray(load(source, image_id, background=background))
    picture.thumbnail((LARGEST, LARGEST))
    return np.array(picture)


def guesses_of(network: "nn.Module", spec: StudentSpec, rendered: Rendered) -> list[list[Guess]]:
    """The student's most likely classes for each image of a batch, on the CPU."""
    with at_rest(network), torch.inference_mode():
        probabilities = head_of(spec, network, LOGITS)(normalised(rendered.pixels, spec, "cpu")).double().softmax(1)
    return [_first(row, spec.classes) for row in probabilities.numpy()]


def _nearest(run: Run, network: "nn.Module", rendered: Rendered) -> list[list[Guess]]:
    found = nearest_classes(run, network, rendered.pixels, GUESSES)
    return [[Guess(name, cosine) for name, cosine in each] for each in found]


def teacher_guesses(logits: Distribution, names: tuple[str, ...] | None) -> list[Guess]:
    """The most likely classes in one row of a cache."""
    (ids,), (shares,) = logits.top(GUESSES)
    return [Guess(_name(names, number), share) for number, share in zip(ids.tolist(), shares.tolist(), strict=True)]


def _first(probabilities: NDArray[np.float64], names: tuple[str, ...] | None) -> list[Guess]:
    order = np.argsort(-probabilities, kind="stable")[:GUESSES]
    return [Guess(_name(names, int(number)), float(probabilities[number])) for number in order]


def _teacher_names(cache: Cache, spec: StudentSpec, signal: Signal) -> tuple[str, ...] | None:
    """The teacher's class names; if it has none, the student's, if these are as many."""
    same = not is_unnamed(spec.classes) and len(spec.classes) == signal.classes
    return cache.teacher.classes or (spec.classes if same else None)


def _name(names: tuple[str, ...] | None, number: int) -> str:
    return names[number] if names else f"class {number}"
