"""Truths of strangers: what is beyond the bounds, of another type or broken is one line that says where."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import Damage, UsageError
from kdcache.images.truths import KINDS
from kdcache.images.truths.bounds import MOST_ITEMS, MOST_LETTERS, MOST_LEVELS, MOST_ROW_BYTES
from tests.images.pages import BOX, PAGES, as_arrow, as_lines, truths_of
from tests.images.samples import jpeg, write


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("text", 5, "text should be a valid string"),
        ("text", "x" * (MOST_LETTERS + 1), "text string should have at most 1000000 characters"),
        ("words", {"text": "a"}, "words should be a valid array"),
        ("words", [{"text": "a", "box": [0.1, 0.2, 0.5]}], "words.0.box.3 field required"),
        ("words", [{"text": "a", "box": [10, 20, 50, 60]}], "words.0.box.0 should be less than or equal to 1"),
        ("words", [{"text": "a", "box": [0.5, 0.2, 0.1, 0.3]}], "words.0.box should be left, top, right, bottom, and"),
        ("words", [{"text": "a", "box": BOX, "colour": 1}], "words.0.colour extra inputs are not permitted"),
        ("words", [{"text": "a", "box": BOX}] * (MOST_ITEMS + 1), "words tuple should have at most 9000 items"),
        ("words", [{"text": "a", "box": BOX}] * 20_000, "it has more than 10,000 objects"),
        ("layout", [{"label": "Table"}], "layout.0 should have a box or a polygon"),
        (
            "layout",
            [{"label": "T", "box": BOX, "polygon": [[0, 0]] * 3}],
            "layout.0 should have a box or a polygon, not both",
        ),
        ("layout", [{"label": "T", "polygon": [[0, 0]] * 2}], "layout.0.polygon tuple should have at least 3 items"),
        ("cells", [{"row": -1, "column": 0}], "cells.0.row should be greater than or equal to 0"),
        ("cells", [{"row": 0, "column": 0, "rows": 0}], "cells.0.rows should be greater than or equal to 1"),
        ("parse", "total: 5", "parse"),
        ("parse", json.loads("[" * (MOST_LEVELS + 2) + "]" * (MOST_LEVELS + 2)), "more than 32 deep"),
        ("parse", {"a": "x" * (MOST_LETTERS + 1)}, "holds a text of more than 1,000,000 letters"),
        ("questions", [{"question": "Who?", "answers": "me"}], "questions.0.answers should be a valid array"),
        ("questions", [{"answers": ["me"]}], "questions.0.question field required"),
    ],
)
def test_values_of_another_kind_are_one_line_with_the_row(tmp_path: Path, column: str, value: Any, why: str) -> None:
    write(tmp_path / "pages" / "a.jpg", jpeg())
    write(tmp_path / "pages" / "b.jpg", jpeg())
    as_lines(tmp_path / "pages", [{"image_id": "b.jpg", column: value}])
    with pytest.raises(UsageError) as caught:
        truths_of(tmp_path / "pages").read((column,), [0, 1])
    assert caught.value.message.startswith(f"{column} of row 1 (b.jpg) in pages cannot be used: ")
    assert why in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_a_parse_at_the_bound_is_read(tmp_path: Path) -> None:
    deep = json.loads("[" * MOST_LEVELS + "]" * MOST_LEVELS)
    assert KINDS["parse"].check(deep) == deep


KEYS = st.sampled_from(["text", "box", "label", "question", "answers", "row", "column"])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(PLAIN)
def test_no_plain_value_is_more_than_refused(value: Any) -> None:
    from kdcache.images.truths.kinds import NotThatTruth

    for kind in KINDS.values():
        try:
            checked = kind.check(value)
        except NotThatTruth:
            continue
        assert kind.check(kind.plain(checked)) == checked


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            '{"image_id": "a.jpg"}\n{"image_id": 5}\n',
            "line 2 of .*truths.jsonl cannot be used: its image_id is missing or not a text",
        ),
        ('{"image_id": "a.jpg"}\n[1]\n', "line 2 of .* cannot be used: it is not an object"),
        ('{"image_id": "a.jpg"\n', "line 1 of .* cannot be used: it is not JSON"),
        ('{"image_id": "a.jpg", "image_id": "b.jpg"}\n', "line 1 of .* key 'image_id' is there twice"),
        ('{"image_id": "a.jpg", "wordz": []}\n', "has a column 'wordz', which is not a kind of truth"),
        ('{"image_id": "a.jpg", "class": 5}\n', "has a column 'class', which is not read from there"),
        ('{"image_id": "a.jpg"}\n\n{"image_id": "a.jpg"}\n', "line 2 of .* cannot be used: it is not JSON"),
        (
            '{"image_id": "a.jpg"}\n{"image_id": "a.jpg"}\n',
            "'a.jpg' is there twice: line 1 of .*truths.jsonl and line 2",
        ),
        ('{"image_id": "a.jpg", "parse": ' + "[" * 100 + "]" * 100 + "}", "line 1 of .* more than 64 deep"),
    ],
)
def test_lines_that_are_no_rows_are_refused(tmp_path: Path, content: str, why: str) -> None:
    write(tmp_path / "a.jpg", jpeg())
    (tmp_path / "truths.jsonl").write_text(content)
    with pytest.raises(UsageError, match=why):
        truths_of(tmp_path).read(("text",), [0])


def test_a_line_without_end_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", jpeg())
    with (tmp_path / "truths.jsonl").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(UsageError, match=f"line 1 of .* it has more than {MOST_ROW_BYTES:,} bytes"):
        truths_of(tmp_path).names  # noqa: B018


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", jpeg())
    os.mkfifo(tmp_path / "truths.jsonl")
    with pytest.raises(UsageError, match="is not a file"):
        truths_of(tmp_path).names  # noqa: B018


def test_two_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", jpeg())
    as_lines(tmp_path, [])
    as_arrow(tmp_path, [])
    with pytest.raises(UsageError, match=r"has both truths\.arrow and truths\.jsonl"):
        truths_of(tmp_path).names  # noqa: B018


def arrow(path: Path, table: pa.Table, **options: Any) -> None:
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out,
    ):
        out.write_table(table)


@pytest.mark.parametrize(
    ("table", "options", "why"),
    [
        (
            pa.table({"image_id": ["a.jpg"], "text": ["x" * 9999]}),
            {"compression": "zstd"},
            "damaged or not a file of truths",
        ),
        (
            pa.table({"image_id": ["a.jpg"], "text": pa.array(["x"]).dictionary_encode()}),
            {},
            "damaged or not a file of truths",
        ),
        (pa.table({"image_id": ["a.jpg"], "text": [5]}), {}, "column 'text' of .* holds int64, not texts"),
        (pa.table({"text": ["x"]}), {}, "has columns text: image_id is needed"),
        (pa.table({"image_id": ["a.jpg", None]}), {}, "has rows without image_id"),
        (pa.table({"image_id": ["a.jpg", "a.jpg"]}), {}, "'a.jpg' is there twice: row 0 of .*truths.arrow and row 1"),
        (pa.table({"image_id": ["a.jpg"], "words": ["[{"]}), {}, "words in row 0 of .* cannot be used: it is not JSON"),
    ],
    ids=["compressed", "dictionary", "numbers", "no ids", "null id", "twice", "no JSON"],
)
def test_arrow_files_of_another_make_are_refused(tmp_path: Path, table: pa.Table, options: dict, why: str) -> None:
    write(tmp_path / "a.jpg", jpeg())
    arrow(tmp_path / "truths.arrow", table, **options)
    truths = truths_of(tmp_path)
    with pytest.raises((UsageError, Damage), match=why):
        truths.read(truths.names, [0])


def test_a_damaged_arrow_file_is_damage_or_reads_something_else(tmp_path: Path) -> None:
    """Whatever bytes are flipped or missing: one line, never a crash."""
    for name in PAGES:
        write(tmp_path / name, jpeg())
    as_arrow(tmp_path)
    sound, outcomes = (tmp_path / "truths.arrow").read_bytes(), set()
    random = np.random.default_rng(3)
    for place in random.integers(0, len(sound), 150).tolist():
        for content in (sound[:place], sound[:place] + bytes([sound[place] ^ 0xA5]) + sound[place + 1 :]):
            (tmp_path / "truths.arrow").write_bytes(content)
            try:
                truths = truths_of(tmp_path)
                truths.read(truths.names, range(8))
                outcomes.add("read")
            except (UsageError, Damage) as error:
                outcomes.add(type(error).__name__)
    assert "Damage" in outcomes


def test_letters_that_are_not_utf8_are_damage(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", jpeg())
    arrow(tmp_path / "truths.arrow", pa.table({"image_id": ["a.jpg"], "text": ["MARK"]}))
    raw = (tmp_path / "truths.arrow").read_bytes()
    (tmp_path / "truths.arrow").write_bytes(raw.replace(b"MARK", b"MA\xff\xfe"))
    with pytest.raises(Damage, match="column 'text' of record batch 0 holds no texts"):
        truths_of(tmp_path).read(("text",), [0])
