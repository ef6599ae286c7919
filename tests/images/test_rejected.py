"""rejected.jsonl is sorted, whole, and says so when it is not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import Damage
from kdcache.images.rejected import Rejected, parse_rejected, rejected_lines


def entry(row: int, reason: str = "empty file") -> Rejected:
    return Rejected(image_id=f"{row}.jpg", row=row, reason=reason)


def lines_of(entries: list[Rejected]) -> bytes:
    return b"".join(rejected_lines(entries))


def test_lines_are_sorted_by_row_and_plain_json():
    raw = lines_of([entry(7), entry(2, "not an image"), entry(40)])
    lines = raw.decode().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 7, 40]
    assert json.loads(lines[0]) == {"image_id": "2.jpg", "row": 2, "reason": "not an image"}
    assert [e.row for e in parse_rejected(raw, "r")] == [2, 7, 40]


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 1 << 40), st.tuples(texts, texts), max_size=6))
def test_any_text_comes_back(rows):
    entries = [Rejected(image_id=i, row=row, reason=reason) for row, (i, reason) in rows.items()]
    assert parse_rejected(lines_of(entries), "r") == sorted(entries, key=lambda e: e.row)


def test_a_row_is_there_once_with_its_first_reason():
    assert [e.reason for e in parse_rejected(lines_of([entry(1, "a"), entry(1, "b")]), "r")] == ["a"]


def test_an_empty_file_means_nothing_was_rejected():
    assert parse_rejected(b"", "r") == []


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"image_id": "a", "row": "1", "reason": "x"}', '{"image_id": "a", "row": 1}']
)
def test_a_broken_line_is_named(line):
    raw = lines_of([entry(0)]) + f"{line}\n{line}\n".encode()
    with pytest.raises(Damage, match=r"line 2 of .*rejected\.jsonl cannot be read"):
        parse_rejected(raw, "c/rejected.jsonl")


def test_a_file_that_is_no_text_is_damage():
    with pytest.raises(Damage, match="is not UTF-8"):
        parse_rejected(b"\xff\xfe", "r")
