"""Truth columns a training or a task needs: there, or refused with the way to give them; unchanged, or Drift; read by example.

Input: what is known of images, and names of columns. Output: digests for the record of a run, and values of a few examples.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kdcache.errors import Drift, Mismatch, UsageError
from kdcache.images.truths import KINDS, Truths, kind_of
from kdcache.images.truths.table import ARROW, IDS, LINES
from kdcache.stream.examples import Examples, Rows


def from_source(names: Iterable[str]) -> tuple[str, ...]:
    """Those of these columns that a source has; classes come with the listing of the images."""
    return tuple(name for name in names if not kind_of(name).from_listing)


def expect_columns(known: Truths, names: Sequence[str], who: str) -> None:
    """Mismatch, which says how to give them, where the images have not all of these columns. `who` needs them."""
    there = known.names if names else ()
    if missing := [name for name in names if name not in there]:
        raise Mismatch(
            f"{who} needs the {shown_truths(missing)} of the images of {known.images}, which have "
            f"{', '.join(there) or 'no truths'}",
            hint=way_to_give(missing),
        )


def expect_used(recorded: Iterable[str], names: Iterable[str], who: str) -> None:
    """Mismatch where the truth of a column was recorded that `who` does not use."""
    if unused := sorted(set(recorded) - set(names)):
        raise Mismatch(
            f"run.json has a digest of the truth {unused[0]}, which {who} does not use",
            hint="restore run.json from a copy",
        )


def shown_truths(names: Sequence[str]) -> str:
    """What messages call these columns."""
    return f"truth{'s' * (len(names) > 1)} {' and '.join(names)}"


def digests_again(known: Truths, names: Sequence[str], recorded: Mapping[str, str]) -> dict[str, str]:
    """The digests of these columns; Drift, naming a column and its source, where they are not those that a run recorded."""
    anew = "bring them back as they were, or start a new run"
    try:
        if missing := [name for name in names if name not in (known.names if names else ())]:
            raise Drift(f"the images of {known.images} have no truth {missing[0]} any more", hint=anew)
        found = known.digests(names)
    except UsageError as error:  # they could be read when the run was begun
        raise Drift(f"the truths of the images of {known.images} have changed: {error.message}", hint=anew) from error
    if changed := [name for name in names if recorded.get(name) != found[name]]:
        raise Drift(
            f"the {shown_truths(changed)} of the images of {known.images} {'has' if len(changed) == 1 else 'have'} changed: "
            f"{found[changed[0]]}, the run began with {recorded.get(changed[0])}",
            hint=anew,
        )
    return found


def read_examples(
    known: Truths, names: Sequence[str], numbers: Rows, examples: Examples | None = None, items: str | None = None
) -> dict[str, list[Any]]:
    """Column -> the value of each of these examples, None where it is not known: its own item of `items`, else all of its image.

    Each image is read once, however many of its items are among the examples.
    """
    every = numbers if examples is None else examples.rows_of(numbers)
    rows, place = np.unique(every, return_inverse=True)
    found = {name: [values[each] for each in place.tolist()] for name, values in known.read(names, rows).items()}
    which = None if examples is None else examples.items_of(numbers)
    if items in found and which is not None:
        found[items] = [value[item] for value, item in zip(found[items], which.tolist(), strict=True)]
    return found


def way_to_give(missing: Sequence[str]) -> str:
    """How images get truths."""
    what = " and ".join(f"{name} ({KINDS[name].what})" for name in missing)
    return (
        f"put {what} into {LINES} in the folder of the images, a line an image such as "
        f'{{"{IDS}": "a/1.jpg", "{missing[0]}": …}}, or into {ARROW}: see docs/sources.md'
    )
