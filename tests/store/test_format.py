"""docs/format.md says what is on disk."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from kdcache.store.parts.receipt import FieldSeal, Receipt
from tests.store.independent_reader import Damaged, Reader
from tests.store.making import Made, make_listing

PAGE = Path(__file__).parents[2] / "docs" / "format.md"


@pytest.fixture
def uncompressed(backend, finished_cache) -> Made:
    return finished_cache(backend, None)


def test_a_reader_made_from_the_page_reads_everything(uncompressed: Made):
    reader = Reader(uncompressed.store.path)
    assert reader.rows == 90
    for view in range(2):
        assert reader.bad_rows(view) == set(uncompressed.bad)
        assert set(np.flatnonzero(~reader.view(view, "valid")).tolist()) == reader.bad_rows(view)
        for name, field in uncompressed.store.fields.items():
            parts = [values[name] for part, values in uncompressed.payloads.items() if part.view == view]
            if field.per_part:
                assert all((reader.field(view, p, name) == values).all() for p, values in enumerate(parts))
            else:
                assert (reader.view(view, name) == np.concatenate(parts)).all()


def test_that_reader_sees_damage(made: Made):
    if made.store.plan.layout.compression:
        return
    seal = made.store.receipt(made.store.plan.parts()[1]).fields["embedding"]
    path = made.store.path / seal.file
    raw = bytearray(path.read_bytes())
    raw[seal.offset + seal.nbytes - 1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Damaged):
        Reader(made.store.path).view(0, "embedding")


def test_the_index_is_looked_up_as_the_page_says(uncompressed: Made):
    with pa.memory_map(str(uncompressed.store.path / "index.arrow")) as source:
        reader = pa.ipc.open_file(source)
        assert reader.num_record_batches == 1
        batch = reader.get_batch(0)
        hashes, rows = batch.column("hash").to_numpy(), batch.column("hash_row").to_numpy()
        for row, image_id in enumerate(make_listing().ids.to_pylist()):
            place = np.searchsorted(hashes, np.uint64(xxhash.xxh3_64_intdigest(image_id.encode())))
            assert rows[place] == row
            assert batch.column("image_id")[row].as_py() == image_id
    raw = (uncompressed.store.path / "index.arrow").read_bytes()
    assert xxhash.xxh3_128_hexdigest(raw) == Reader(uncompressed.store.path).plan["dataset"]["index_digest"]


def cells_of(heading: str) -> list[str]:
    """The first columns of the tables under a heading."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\|([^|]*)\|", section, re.MULTILINE)


def words_of(heading: str) -> list[str]:
    return re.findall(r"`([^`]+)`", "".join(cells_of(heading)))


def test_every_key_of_a_receipt_is_on_the_page():
    assert set(words_of("Receipts")) == set(Receipt.model_fields) | set(FieldSeal.model_fields)


def test_every_key_of_a_plan_is_on_the_page(uncompressed: Made):
    plan = json.loads((uncompressed.store.path / "plan.json").read_bytes())
    plan.pop("digest")
    prefix, listed = "", set()
    for word in words_of("plan.json"):
        prefix = word.rsplit(".", 1)[0] if "." in word and not word.startswith(".") else prefix
        listed.add(prefix + word if word.startswith(".") else word)
    deep = ("dataset", "views", "layout")
    there = {key for key in plan if key not in deep} | {f"{key}.{sub}" for key in deep for sub in plan[key]}
    assert listed == there


def test_every_codec_is_on_the_page():
    from kdcache.codecs import codec_list

    assert set(codec_list()) <= set(words_of("Fields of each codec"))
