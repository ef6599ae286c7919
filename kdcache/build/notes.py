"""Remarks and warnings about a plan: choices made for the user, and what may make the cache useless or expensive."""

import shlex
from typing import TYPE_CHECKING, Any

from kdcache.base.notes import Note, Notes
from kdcache.build.options import BuildOptions
from kdcache.images.enlarged import enlargement
from kdcache.images.opening import parse
from kdcache.images.paths import inner_splits
from kdcache.images.source import Listing, Source
from kdcache.images.splits import split_not_named
from kdcache.store.plan import Plan

if TYPE_CHECKING:
    pass

RANDOM, PART_ROWS = "random", "part-rows"
"""Kinds of notes: the weights are random; --part-rows was rounded up."""


def notes_on(options: BuildOptions, plan: Plan, asked_batch: int) -> Notes:
    """Notes on choices that kd made because an option was left out or could not be met."""
    notes = Notes()
    if options.data is None:
        notes.add(
            f"no --data: using the embedded set `shapes` ({plan.dataset.rows:,} images, drawn as they are needed)"
        )
    if options.size is None and plan.teacher.weights.source.startswith("package:"):
        notes.add(f"no --size: using {plan.teacher.family}-{plan.teacher.size}, whose weights are in the package")
    if options.recipe is None and options.views > 1:
        notes.add(f"{options.views} views and no --recipe: using `augment`")
    if plan.teacher.weights.random:
        notes.add("random weights: this cache measures time and memory; the plan carries the stamp `random`", RANDOM)
    if plan.batch < asked_batch:
        notes.add(f"a batch of {asked_batch} does not fit into memory: using {plan.batch}")
    if options.part_rows and options.part_rows < plan.layout.rows_per_part:
        notes.add(f"--part-rows {options.part_rows} is rounded up to a batch: {plan.layout.rows_per_part}", PART_ROWS)
    notes += _split_note(options.data, plan.dataset.source)
    return notes


def warnings_on(plan: Plan, source: Source, listing: Listing) -> list[str]:
    """Warnings about what may make the cache useless or needlessly expensive."""
    small = enlargement(source, listing, plan.teacher.preprocess.size, "the teacher")
    found = [*_class_warning(plan), *([small] if small else [])]
    return found + _folder_of_splits_warning(plan.dataset.source)


def _class_warning(plan: Plan) -> list[str]:
    """Warn when the teacher's classes do not include those of the images: its logits are always about its own classes."""
    theirs, ours = plan.teacher.classes, plan.dataset.classes
    if theirs is None or ours is None or set(ours) <= set(theirs):
        return []
    known = len(set(ours) & set(theirs))
    return [
        f"the logits will be of the teacher's own {len(theirs):,} classes ({theirs[0]} …), which include {known:,} of the "
        f"{len(ours):,} classes of these images ({ours[0]} …): a student of this cache cannot name the others. "
        "`kd teacher fit-head` makes a head for them, to be given with --head"
    ]


def _split_note(data: str | None, source: dict[str, Any]) -> list[Note]:
    """Note which split of a dataset is used when none was named, and how to choose the other one."""
    other = None if data is None else split_not_named(parse(data), source)
    if other is None:
        return []
    return [Note(f"{source['kind']}: using the split `train`; for the other one, --data {other}")]


def _folder_of_splits_warning(source: dict[str, Any]) -> list[str]:
    """Warn when the folder holds splits (train, val): all would be used without classes, validation images included."""
    splits = inner_splits(source)
    if not splits:
        return []
    names, one = ", ".join(sorted(path.name for path in splits)), shlex.quote(str(splits[0]))
    effect = (
        ", and the images of all of them would be in one cache" if len(splits) > 1 else ", which is no class of images"
    )
    return [f"{source['path']} holds {names}{effect}; give --data {one}"]
