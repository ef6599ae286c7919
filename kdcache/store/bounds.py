"""Check that a plan is usable: all its numbers against the limits and against each other.

Checked whenever a plan is read, and before one is written, so that no plan is written that could not be opened again.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import isfinite

from kdcache.base import limits
from kdcache.codecs.codec import Field
from kdcache.errors import UsageError
from kdcache.store.blocks import field_compressor
from kdcache.store.plan import Plan
from kdcache.views.recipe import Foreign

_SHOWN = 200
"""How many characters of a list of names an error shows."""
_MANY_DIGITS = 10**30


def unfit(plan: Plan) -> str | None:
    """A description of what is wrong with the numbers of a plan; None if nothing is."""
    try:
        return next(_faults(plan), None)
    except UsageError as error:  # an invalid codec or compression
        return error.message


def _faults(plan: Plan) -> Iterator[str]:
    """Yield everything that is wrong. Later checks may rely on earlier ones."""
    yield from _numbers(plan)
    yield from _signals(plan)
    plan.ways()  # refuses unknown codecs, and codecs that do not fit their signal
    fields = plan.fields()
    names = [field.name for field in fields]
    yield from (f"two arrays are called {name!r}" for name in names if names.count(name) > 1)
    yield from (f"an array is called {name!r}, which is a file name of Zarr" for name in names if name == "zarr.json")
    yield from _layout(plan, fields)


def _numbers(plan: Plan) -> Iterator[str]:
    layout, recipe = plan.layout, plan.views.recipe
    numbers = {
        "dataset.rows": (plan.dataset.rows, limits.ROWS),
        "views.count": (plan.views.count, limits.VIEWS),
        "layout.rows_per_part": (layout.rows_per_part, limits.ROWS),
        "batch": (plan.batch, limits.BATCH),
        "the height of teacher.preprocess.size": (plan.teacher.preprocess.size[0], limits.SIDE),
        "the width of teacher.preprocess.size": (plan.teacher.preprocess.size[1], limits.SIDE),
        "the number of signals": (len(plan.signals), limits.SIGNALS),
    }
    yield from (_outside(name, number, most) for name, (number, most) in numbers.items() if not 1 <= number <= most)
    yield from _generations(plan.dataset.generations, plan.dataset.rows)
    each, views = plan.parts_per_view, plan.views.count
    if each > limits.VIEW_PARTS or each * views > limits.PARTS:
        most = f"at most {limits.VIEW_PARTS:,} of a view and {limits.PARTS:,} in all"
        yield f"it has {each:,} parts in each of {views:,} views, {most}: layout.rows_per_part is {layout.rows_per_part:,}"
    if not all(map(isfinite, (*plan.teacher.preprocess.mean, *plan.teacher.preprocess.std))):
        yield "teacher.preprocess.mean and .std must be finite"
    if isinstance(recipe, Foreign) and len(recipe.epochs) != plan.views.count:
        yield f"views.recipe.epochs has {len(recipe.epochs):,} epochs for {plan.views.count:,} views"


def _generations(ends: tuple[int, ...], rows: int) -> Iterator[str]:
    """Yield faults of the generations: they must grow and end with the last row. Without added rows there are none."""
    if len(ends) > limits.GENERATIONS:
        yield f"dataset.generations has {len(ends):,} entries, at most {limits.GENERATIONS:,} are read"
    elif ends and (any(last <= first for first, last in pairwise((0, *ends))) or ends[-1] != rows):
        shown = _some(map(str, ends)) if abs(max(ends)) < _MANY_DIGITS else "numbers of many digits"
        yield f"dataset.generations is {shown}: these must grow and end with dataset.rows, {rows:,}"


def _signals(plan: Plan) -> Iterator[str]:
    for stored in plan.signals:
        if stored.signal not in plan.teacher.signals:
            yield f"its teacher has no signal {stored.signal.name!r}"
        if stored.signal.size > limits.BLOCK_BYTES:
            yield f"{stored.signal.name} has more than {limits.BLOCK_BYTES:,} numbers a row"
        if len(stored.via) > limits.CODECS:
            yield f"{stored.signal.name} came by {len(stored.via)} codecs, at most {limits.CODECS} are followed"
        if any(len(codec) > limits.NAME_LETTERS for codec in (stored.codec, *stored.via)):
            yield f"a codec of {stored.signal.name} has a name of more than {limits.NAME_LETTERS} letters"


def _layout(plan: Plan, fields: tuple[Field, ...]) -> Iterator[str]:
    layout = plan.layout
    rowwise = [field for field in fields if not field.per_part]
    if layout.compression is not None and len(layout.compression) > limits.NAME_LETTERS:
        yield "layout.compression is not a known compression"
    if set(layout.block_rows) != {field.name for field in rowwise}:
        yield f"layout.block_rows names {_some(layout.block_rows)}, the arrays are {_some(f.name for f in rowwise)}"
    for field in fields:
        rows = 1 if field.per_part else layout.block_rows[field.name]
        if rows < 1 or layout.rows_per_part % rows:
            yield f"layout.block_rows of {field.name} is {rows:,}, no divisor of {layout.rows_per_part:,} rows a part"
        if rows * field.row_bytes > limits.BLOCK_BYTES:
            yield f"a block of {field.name} has {rows * field.row_bytes:,} bytes, at most {limits.BLOCK_BYTES:,} are read"
        field_compressor(layout, field)  # refuses an invalid compression
    part = layout.rows_per_part * sum(field.row_bytes for field in rowwise)
    if part > limits.PART_BYTES:
        yield f"a part has {part:,} bytes of rows, at most {limits.PART_BYTES:,} are read"


def _outside(name: str, number: int, most: int) -> str:
    shown_number = f"{number:,}" if abs(number) < _MANY_DIGITS else "a number of many digits"
    return f"{name} is {shown_number}, not 1 to {most:,}"


def _some(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
