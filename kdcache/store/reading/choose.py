"""Choose the arena for a field: mapped files, or decompressed blocks."""

from collections.abc import Callable

from kdcache.codecs.codec import Field
from kdcache.store.blocks import field_compressor
from kdcache.store.plan import Layout
from kdcache.store.reading.arena import Arena, Grid
from kdcache.store.reading.inflated import MOST_BYTES, Inflated
from kdcache.store.reading.mapped import Mapped
from kdcache.store.reading.piece import Piece


def make_arena(
    field: Field,
    layout: Layout,
    rows: int,
    pieces: Callable[[int], Piece],
    first: int,
    *,
    check: bool = True,
    dense: bool = False,
    most_bytes: int = MOST_BYTES,
) -> Arena:
    """The arena of one field over `rows` rows, divided into parts according to the layout.

    `pieces`: function from a part's number to where it stores the field; `first`: an existing part that will be read.
    """
    grid = Grid(rows, layout.rows_per_part, layout.block_rows[field.name])
    tool = field_compressor(layout, field)
    if tool is not None:
        return Inflated(field, pieces, grid, tool, most_bytes=most_bytes)
    # All parts of a layout have a field at the same offset, so any part will do.
    return Mapped(field, pieces, grid, offset=pieces(first).offset, check=check, dense=dense)
