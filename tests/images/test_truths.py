"""Truths: named columns of what is known of images, read lazily, a batch at a time, and checked."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import Damage, UsageError
from kdcache.images import open_source
from kdcache.images.truths import KINDS, Cell, Question, Region, Truths, Word, write_truths
from kdcache.images.truths.bounds import MOST_ITEMS, MOST_LETTERS, MOST_LEVELS, MOST_ROW_BYTES
from kdcache.images.truths.line_table import LineTable
from tests.images.samples import jpeg, write

PAGES = [f"page{number}.jpg" for number in range(8)]
BOX = [0.1, 0.2, 0.5, 0.25]
RECORDS: list[dict[str, Any]] = [
    {
        "image_id": "page0.jpg",
        "text": "To: Ünal\nTotal 12",
        "questions": [{"question": "Who?", "answers": ["Ünal", "U."]}],
    },
    {
        "image_id": "page1.jpg",
        "words": [{"text": "To:", "box": BOX, "entity": "B-QUESTION"}, {"text": "Ünal", "box": BOX}],
    },
    {"image_id": "page2.jpg", "parse": {"menu": [{"nm": "Tea", "price": 2.5}, {"nm": None}], "paid": True}},
    {
        "image_id": "page3.jpg",
        "layout": [{"label": "Table", "box": BOX}, {"label": "Seal", "polygon": [[0, 0], [1, 0], [1, 1]]}],
    },
    {
        "image_id": "page5.jpg",
        "cells": [{"row": 0, "column": 1, "columns": 2, "text": "2024", "header": True, "box": BOX}],
    },
    {"image_id": "page6.jpg", "description": "a receipt", "questions": []},
    {"image_id": "elsewhere.jpg", "text": "of an image that is not here"},
]
COLUMNS = ("cells", "description", "layout", "parse", "questions", "text", "words")


def as_lines(folder: Path, records: list[dict[str, Any]] = RECORDS) -> None:
    (folder / "truths.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def as_arrow(folder: Path, records: list[dict[str, Any]] = RECORDS) -> None:
    write_truths(folder, COLUMNS, iter(records))


@pytest.fixture(params=[as_lines, as_arrow], ids=["jsonl", "arrow"])
def folder(request, tmp_path: Path) -> Path:
    for number, name in enumerate(PAGES):
        write(tmp_path / "pages" / name, jpeg(number))
    request.param(tmp_path / "pages")
    return tmp_path / "pages"


def truths_of(folder: Path | str) -> Truths:
    source = open_source(str(folder))
    listing = source.scan()
    return Truths(source, listing.ids.to_pylist(), listing.labels)


def test_every_column_comes_back_typed(folder: Path) -> None:
    truths = truths_of(folder)
    assert truths.names == COLUMNS
    read = truths.read(COLUMNS, [0, 1, 2, 3, 4, 5])
    assert read["text"] == ["To: Ünal\nTotal 12", *[None] * 5]
    assert read["questions"][0] == (Question(question="Who?", answers=("Ünal", "U.")),)
    word = Word(text="Ünal", box=(0.1, 0.2, 0.5, 0.25))
    assert read["words"][1] == (word.model_copy(update={"text": "To:", "entity": "B-QUESTION"}), word)
    assert read["parse"][2] == {"menu": [{"nm": "Tea", "price": 2.5}, {"nm": None}], "paid": True}
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert read["layout"][3] == (Region(label="Table", box=tuple(BOX)), Region(label="Seal", polygon=corners))
    assert [values[4] for values in read.values()] == [None] * 7
    assert read["cells"][5] == (Cell(row=0, column=1, columns=2, text="2024", header=True, box=tuple(BOX)),)


def test_rows_come_in_the_order_they_are_asked_for(folder: Path) -> None:
    read = truths_of(folder).read(("text", "description"), np.array([6, 0, 6]))
    assert read == {"text": [None, "To: Ünal\nTotal 12", None], "description": ["a receipt", None, "a receipt"]}


def test_items_are_counted_by_row(folder: Path) -> None:
    truths = truths_of(folder)
    assert truths.counts("questions").tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert truths.counts("words").tolist() == [0, 2, 0, 0, 0, 0, 0, 0]
    with pytest.raises(UsageError, match="text has no items") as caught:
        truths.counts("text")
    assert caught.value.hint == "these have: words, layout, cells, questions"


def test_counts_make_examples(folder: Path) -> None:
    from kdcache.stream import Examples

    examples = Examples.of_items(truths_of(folder).counts("layout"))
    assert examples.rows_of(np.arange(len(examples))).tolist() == [3, 3]


def test_truths_change_nothing_of_the_listing(folder: Path) -> None:
    with_truths = open_source(str(folder)).scan()
    for name in ("truths.jsonl", "truths.arrow"):
        (folder / name).unlink(missing_ok=True)
    assert open_source(str(folder)).scan().fingerprint == with_truths.fingerprint
    assert truths_of(folder).names == ()


def test_both_files_mean_the_same_to_the_digest(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("kdcache.images.truths.of_rows.CHUNK", 3)
    digests = []
    for make in (as_lines, as_arrow):
        pages = tmp_path / make.__name__ / "pages"
        for number, name in enumerate(PAGES):
            write(pages / name, jpeg(number))
        make(pages, RECORDS if make is as_lines else RECORDS[::-1])
        digests.append([truths_of(pages).digest(names) for names in (COLUMNS, ("text",), ("questions", "text"))])
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3


def test_the_digest_covers_the_columns_that_are_named_and_no_others(folder: Path) -> None:
    before = truths_of(folder)
    texts, words = before.digest(["text"]), before.digest(["words"])
    for name in ("truths.jsonl", "truths.arrow"):
        (folder / name).unlink(missing_ok=True)
    as_lines(folder, [RECORDS[0] | {"text": "To: Unal"}, *RECORDS[1:]])
    after = truths_of(folder)
    assert after.digest(["text"]) != texts
    assert after.digest(["words"]) == words
    as_lines(folder, [*RECORDS[:-1], RECORDS[-1] | {"text": "another"}])
    assert truths_of(folder).digest(["text"]) == texts, "of images that are not in the dataset nothing counts"


def test_what_workers_get_holds_no_values(folder: Path) -> None:
    truths = truths_of(folder)
    truths.read(COLUMNS, range(8))
    source = pickle.dumps(truths._source)
    assert len(source) < 400
    assert pickle.loads(source).read_truths(("text",), ["page0.jpg"]) == {"text": ["To: Ünal\nTotal 12"]}


def test_only_what_is_asked_for_is_parsed(tmp_path: Path, monkeypatch) -> None:
    for name in PAGES:
        write(tmp_path / name, jpeg())
    as_arrow(tmp_path)
    parsed: list[Any] = []
    monkeypatch.setattr(
        "kdcache.images.truths.arrow_table.parse_json", lambda text: (parsed.append(text), json.loads(text))[1]
    )
    truths_of(tmp_path).read(("words", "text"), [1, 2])
    assert len(parsed) == 1


def test_tars_have_them_beside_the_shards(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        write(tmp_path / "one.jpg", jpeg())
        tar.add(tmp_path / "one.jpg", "one.jpg")
    (tmp_path / "one.jpg").unlink()
    as_lines(tmp_path, [{"image_id": "a.tar/one.jpg", "text": "one"}])
    for spec in (tmp_path, tmp_path / "a.tar", tmp_path / "*.tar"):
        assert truths_of(spec).read(("text",), [0]) == {"text": ["one"]}


def test_a_few_images_have_the_truths_of_the_whole(folder: Path) -> None:
    source = open_source(f"few:3:{folder}")
    listing = source.scan()
    truths = Truths(source, listing.ids.to_pylist(), listing.labels)
    expected = {record["image_id"]: record.get("text") for record in RECORDS}
    assert truths.read(("text",), [0, 1, 2])["text"] == [expected.get(i) for i in listing.ids.to_pylist()]


def test_shapes_are_described_and_have_classes() -> None:
    source = open_source("shapes:count=300")
    listing = source.scan()
    truths = Truths(source, listing.ids.to_pylist(), listing.labels)
    assert truths.names == ("class", "description")
    read = truths.read(("description", "class"), [0, 150])
    assert read["class"] == [int(listing.labels[0]), int(listing.labels[150])]
    assert read["description"] == [f"a {listing.classes[number]}" for number in read["class"]]


def test_sources_without_truths_have_their_labels(tmp_path: Path) -> None:
    write(tmp_path / "cat" / "1.jpg", jpeg())
    truths = truths_of(tmp_path)
    assert truths.names == ("class",)
    assert truths.read(("class",), [0]) == {"class": [0]}
    assert Truths(open_source(str(tmp_path)), ["x"], np.array([-1], np.int32)).read(("class",), [0]) == {
        "class": [None]
    }
    with pytest.raises(UsageError, match="has no truth called 'words'"):
        truths.read(("words",), [0])
    with pytest.raises(UsageError, match="there is no truth called 'wrods'") as caught:
        truths.read(("wrods",), [0])
    assert caught.value.hint == "did you mean words?"
    with pytest.raises(UsageError, match="not a list of truths"):
        truths.read("text", [0])


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
            "line 2 of .*truths.jsonl cannot be used: it has no image_id that is a text",
        ),
        ('{"image_id": "a.jpg"}\n[1]\n', "line 2 of .* cannot be used: it is no object"),
        ('{"image_id": "a.jpg"\n', "line 1 of .* cannot be used: it is not JSON"),
        ('{"image_id": "a.jpg", "image_id": "b.jpg"}\n', "line 1 of .* key 'image_id' is there twice"),
        ('{"image_id": "a.jpg", "wordz": []}\n', "has a column 'wordz', which is no truth"),
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
            "damaged or no file of truths",
        ),
        (
            pa.table({"image_id": ["a.jpg"], "text": pa.array(["x"]).dictionary_encode()}),
            {},
            "damaged or no file of truths",
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


def test_records_that_are_wrong_are_not_written(tmp_path: Path) -> None:
    as_arrow(tmp_path)
    with pytest.raises(UsageError, match=r"words of record 1 \(b\) cannot be used: words\.0\.text field required"):
        write_truths(tmp_path, ["words"], [{"image_id": "a"}, {"image_id": "b", "words": [{"box": BOX}]}])
    with pytest.raises(UsageError, match="record 0 has no image_id"):
        write_truths(tmp_path, ["words"], [{"words": []}])
    with pytest.raises(UsageError, match=r"class is not kept in truths\.arrow"):
        write_truths(tmp_path, ["class"], [])
    assert [path.name for path in tmp_path.iterdir()] == ["truths.arrow"], "what was there is still there"


def test_a_table_of_many_lines_is_found_by_offsets(tmp_path: Path) -> None:
    as_lines(tmp_path, [{"image_id": f"ü{number}", "text": "x" * (number % 50)} for number in range(3000)])
    table = LineTable(str(tmp_path / "truths.jsonl"))
    for number in (0, 1, 1234, 2999):
        (row,) = table.lookup.candidates(f"ü{number}")
        assert (table.id_at(row), table.value(row, "text")) == (f"ü{number}", "x" * (number % 50))
