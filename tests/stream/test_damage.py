"""What is not as it was written is named and never handed out."""

from pathlib import Path

import numpy as np
import pytest

from kdcache import Cache
from kdcache.errors import Damage
from kdcache.store.plan import PartId
from tests.store.making import Made
from tests.stream.conftest import copied, stored_row


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 16]))


def place_of(made: Made, part: PartId, field: str, block: int) -> tuple[Path, int]:
    seal = made.store.receipt(part).fields[field]
    if seal.stored is not None:
        offset = seal.stored[block][0]
    else:
        offset = seal.offset + block * seal.block_rows * made.store.fields[field].row_bytes
    return made.store.path / seal.file, offset + 2


@pytest.mark.parametrize("field", ["logits", "embedding", "features"])
@pytest.mark.parametrize("shuffle", ["full", "blocks", False])
def test_a_flipped_byte_is_named(made: Made, tmp_path: Path, field: str, shuffle) -> None:
    hurt = copied(made, tmp_path / "hurt")
    part = hurt.store.plan.parts()[1]
    flip(*place_of(hurt, part, field, 1))
    rows = hurt.store.plan.rows_of(part)
    per_block = hurt.store.plan.layout.block_rows[field]
    first = rows.start + per_block
    last = min(first + per_block, rows.stop) - 1
    stream = Cache.open(hurt.store.path).stream(2, shuffle=shuffle, views=[0])
    seen: list[int] = []
    with pytest.raises(Damage, match=f"part {part}, field '{field}', rows {first}-{last}: damaged") as caught:
        seen.extend(row for batch in stream for row in batch.rows.tolist())
    assert caught.value.exit_code == 4
    assert caught.value.details["rows"] == (first, last)
    assert not set(seen) & set(range(first, last + 1)), "no damaged row was handed out"


def test_damage_elsewhere_is_found_when_it_is_reached(plain: Made) -> None:
    flip(*place_of(plain, PartId(1, 0), "logits", 0))
    cache = Cache.open(plain.store.path)
    assert sum(len(b) for b in cache.stream(8, epoch=0)) == 88
    with pytest.raises(Damage, match="v001/000000"):
        list(cache.stream(8, epoch=1))


def test_damaged_scales_are_named(plain: Made) -> None:
    part = PartId(0, 1)
    flip(*place_of(plain, part, "features_scale", 0))
    rows = plain.store.plan.rows_of(part)
    with pytest.raises(Damage, match=f"field 'features_scale', rows {rows.start}-{rows.stop - 1}: damaged"):
        [batch.decode() for batch in Cache.open(plain.store.path).stream(8)]


def test_without_checks_damage_passes(plain: Made) -> None:
    """What check=False gives up, said by a test."""
    flip(*place_of(plain, PartId(0, 0), "logits", 0))
    rows = {}
    for batch in Cache.open(plain.store.path).stream(8, check=False):
        rows |= {row: array.copy() for row, array in zip(batch.rows.tolist(), batch.fields["logits"], strict=True)}
    wrong = [row for row, array in rows.items() if not np.array_equal(array, stored_row(plain, 0, row, "logits"))]
    assert wrong == [0]


@pytest.mark.parametrize("check", [True, False])
def test_a_missing_or_short_file_is_named(plain: Made, check: bool) -> None:
    path = plain.store.path / plain.store.receipt(PartId(0, 1)).fields["logits"].file
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 1)
    with pytest.raises(Damage, match=f"part v000/000001: .* has {size - 1:,} bytes, but its receipt records {size:,}"):
        list(Cache.open(plain.store.path).stream(8, check=check))
    stream = Cache.open(plain.store.path).stream(8, check=check)
    path.unlink()
    with pytest.raises(Damage, match=r"part v000/000001: .* is missing"):
        list(stream)


def test_a_damaged_receipt_is_named(plain: Made) -> None:
    path = plain.store.path / "parts/v000/000001.json"
    flip(path, 60)
    with pytest.raises(Damage, match=r"000001\.json is damaged"):
        Cache.open(plain.store.path).stream(8)


def test_one_image_is_checked_as_well(plain: Made) -> None:
    flip(*place_of(plain, PartId(0, 0), "embedding", 1))
    cache = Cache.open(plain.store.path)
    row = plain.store.plan.layout.block_rows["embedding"] + 1
    with pytest.raises(Damage, match="field 'embedding'"):
        cache[cache.ids[row]]
    assert cache[cache.ids[0]].row == 0
