"""The usual layout: parts of whole batches, about 64 MiB, blocks of at most 256 KiB."""

from hypothesis import given
from hypothesis import strategies as st

from kdcache.codecs.codec import Field
from kdcache.store import choose_layout


@given(
    rows=st.integers(1, 20_000_000),
    batch=st.integers(1, 512),
    width=st.integers(1, 3_000_000),
    scales=st.booleans(),
)
def test_blocks_divide_parts_and_parts_hold_whole_batches(rows, batch, width, scales):
    fields = [Field("a", "|u1", (width,))]
    if scales:
        fields.append(Field("scales", "<f4", (7,), per_part=True))
    layout = choose_layout(fields, rows=rows, batch=batch)
    per_part = layout.rows_per_part
    assert per_part % batch == 0
    assert (per_part // batch).bit_count() == 1
    assert set(layout.block_rows) == {"a", "view_digest", "valid"}
    for field in (fields[0], *layout.added_fields()):
        block = layout.block_rows[field.name]
        assert per_part % block == 0
        assert block == 1 or block * field.row_bytes <= 256 << 10
    if per_part > batch:
        assert per_part <= 16384
        assert per_part * (width + 5) <= 64 << 20
        assert -(-rows // per_part) >= 5  # about eight, of few rows


def test_the_workloads_of_the_papers():
    top100 = choose_layout([Field("logits", "<u2", (203,))], rows=14_000_000, batch=128)
    assert (top100.rows_per_part, top100.block_rows["logits"]) == (16384, 512)
    florence = choose_layout([Field("features", "<f2", (1200, 1024))], rows=40_000, batch=8)
    assert (florence.rows_per_part, florence.block_rows["features"]) == (16, 1)
    small = choose_layout([Field("logits", "<u2", (203,))], rows=2000, batch=64)
    assert small.rows_per_part == 128
