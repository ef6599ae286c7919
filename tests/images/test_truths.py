"""Truths: named columns of what is known of images, read lazily, a batch at a time, and checked."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcache.errors import UsageError
from kdcache.images import open_source
from kdcache.images.truths import Cell, Question, Region, Truths, Word, write_truths
from kdcache.images.truths.line_table import LineTable
from tests.images.pages import BOX, COLUMNS, PAGES, RECORDS, as_arrow, as_lines, truths_of
from tests.images.samples import jpeg, write


@pytest.fixture(params=[as_lines, as_arrow], ids=["jsonl", "arrow"])
def folder(request, tmp_path: Path) -> Path:
    for number, name in enumerate(PAGES):
        write(tmp_path / "pages" / name, jpeg(number))
    request.param(tmp_path / "pages")
    return tmp_path / "pages"


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
    with pytest.raises(UsageError, match="not a list of names"):
        truths.read("text", [0])


def test_records_that_are_wrong_are_not_written(tmp_path: Path) -> None:
    as_arrow(tmp_path)
    with pytest.raises(UsageError, match=r"words of record 1 \(b\) cannot be used: words\.0\.text field required"):
        write_truths(tmp_path, ["words"], [{"image_id": "a"}, {"image_id": "b", "words": [{"box": BOX}]}])
    with pytest.raises(UsageError, match="the image_id of record 0 is missing"):
        write_truths(tmp_path, ["words"], [{"words": []}])
    with pytest.raises(UsageError, match=r"class is not stored in truths\.arrow"):
        write_truths(tmp_path, ["class"], [])
    assert [path.name for path in tmp_path.iterdir()] == ["truths.arrow"], "what was there is still there"


def test_a_table_of_many_lines_is_found_by_offsets(tmp_path: Path) -> None:
    as_lines(tmp_path, [{"image_id": f"ü{number}", "text": "x" * (number % 50)} for number in range(3000)])
    table = LineTable(str(tmp_path / "truths.jsonl"))
    for number in (0, 1, 1234, 2999):
        (row,) = table.lookup.candidates(f"ü{number}")
        assert (table.id_at(row), table.value(row, "text")) == (f"ü{number}", "x" * (number % 50))
