"""rejected.jsonl is sorted, whole, and says so when it is not."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.base.atomic import write_file
from kdcache.errors import Damage, StorageError
from kdcache.images.rejected import Rejected, read_rejected, rejected_lines


def entry(row: int, reason: str = "empty file") -> Rejected:
    return Rejected(image_id=f"{row}.jpg", row=row, reason=reason)


def write_rejected(path: Path, entries: list[Rejected]) -> None:
    write_file(path, rejected_lines(entries))


def test_lines_are_sorted_by_row_and_plain_json(tmp_path):
    path = tmp_path / "rejected.jsonl"
    write_rejected(path, [entry(7), entry(2, "not an image"), entry(40)])
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 7, 40]
    assert json.loads(lines[0]) == {"image_id": "2.jpg", "row": 2, "reason": "not an image"}
    assert [e.row for e in read_rejected(path)] == [2, 7, 40]
    assert [p.name for p in tmp_path.iterdir()] == ["rejected.jsonl"]


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 1 << 40), st.tuples(texts, texts), max_size=6))
def test_any_text_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rejected") / "rejected.jsonl"
    entries = [Rejected(image_id=i, row=row, reason=reason) for row, (i, reason) in rows.items()]
    write_rejected(path, entries)
    assert read_rejected(path) == sorted(entries, key=lambda e: e.row)


def test_a_row_is_there_once_with_its_first_reason(tmp_path):
    write_rejected(tmp_path / "r", [entry(1, "a"), entry(1, "b")])
    assert [e.reason for e in read_rejected(tmp_path / "r")] == ["a"]


def test_no_file_means_nothing_was_rejected(tmp_path):
    assert read_rejected(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"image_id": "a", "row": "1", "reason": "x"}', '{"image_id": "a", "row": 1}']
)
def test_a_broken_line_is_named(tmp_path, line):
    path = tmp_path / "rejected.jsonl"
    write_rejected(path, [entry(0)])
    path.write_text(path.read_text() + line + "\n" + line + "\n")
    with pytest.raises(Damage, match=r"line 2 of .*rejected\.jsonl cannot be read"):
        read_rejected(path)


def test_a_file_that_is_no_text_is_damage(tmp_path):
    (tmp_path / "r").write_bytes(b"\xff\xfe")
    with pytest.raises(Damage, match="is not UTF-8"):
        read_rejected(tmp_path / "r")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "rejected.jsonl"
    write_rejected(path, [entry(0)])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write_rejected(path, [entry(1)])
    assert [e.row for e in read_rejected(path)] == [0]
    assert [p.name for p in Path(tmp_path).iterdir()] == ["rejected.jsonl"]
