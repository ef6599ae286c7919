"""Truth columns of a training: read by example, a few images at a time; counted by item; refused where they do not fit."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from kdcache.errors import Drift, Mismatch, UsageError
from kdcache.images.truths import Truths
from kdcache.stream import Examples
from kdcache.views.recipe import Plain
from students.base.contracts import Needs
from students.base.truth_columns import digests_again, read_examples
from students.plan.truths import NO_TRUTHS, TrainingTruths, truths_again, truths_for
from tests.images.pages import as_lines, truths_of

COUNTS = (2, 0, 3, 1)
PLAIN = Plain(fit="crop")
NEEDS = Needs(truths=("text",), items=("questions",))


def records() -> list[dict[str, Any]]:
    return [
        {
            "image_id": f"page{page}.jpg",
            "text": f"page {page}",
            "questions": [{"question": f"{page}.{item}"} for item in range(count)],
        }
        for page, count in enumerate(COUNTS)
    ]


@pytest.fixture
def known(tmp_path: Path) -> Truths:
    for page in range(len(COUNTS)):
        Image.new("RGB", (8, 8)).save(tmp_path / f"page{page}.jpg")
    as_lines(tmp_path, records())
    return truths_of(tmp_path)


def planned(known: Truths, needs: Needs = NEEDS) -> TrainingTruths:
    return truths_for(needs, lambda: known, PLAIN, student="it")


def test_an_example_has_its_own_item_and_all_else_of_its_image(known: Truths, monkeypatch: pytest.MonkeyPatch) -> None:
    read, rows = Truths.read, []
    monkeypatch.setattr(Truths, "read", lambda it, names, some: (rows.append(list(some)), read(it, names, some))[1])
    examples = Examples.of_items(np.array(COUNTS))
    found = read_examples(known, ("questions", "text"), np.array([4, 0, 5, 2]), examples, "questions")
    assert [each.question for each in found["questions"]] == ["2.2", "0.0", "3.0", "2.0"]
    assert found["text"] == ["page 2", "page 0", "page 3", "page 2"]
    assert rows == [[0, 2, 3]], "an image is read once"


def test_without_items_an_image_has_all_of_them(known: Truths) -> None:
    truths = planned(known, Needs(truths=("questions",)))
    assert truths.examples is None
    assert [len(each) for each in truths.read(("questions",), np.array([2, 1]))["questions"]] == [3, 0]


def test_items_of_images_that_cannot_be_read_are_not_counted(known: Truths) -> None:
    """An epoch is as long as the view with the fewest examples, not with the fewest images."""
    rejected = {0: [0, 1], 1: [2]}
    cache = cast(Any, SimpleNamespace(missing=[], views=2, rejected=lambda view: np.array(rejected[view])))
    truths = planned(known)
    assert [truths.usable(cache, views, 2) for views in (None, (0,), (1,))] == [3, 4, 3]
    assert truths.usable(None, None, 4) == sum(COUNTS)
    assert NO_TRUTHS.usable(cache, None, 2) == 2


def test_where_no_column_is_needed_the_images_are_not_even_listed() -> None:
    def never() -> Truths:
        raise AssertionError("nothing is read")

    for needs in (Needs(), Needs(truths=("class",))):
        assert truths_for(needs, never, PLAIN, student="it") is NO_TRUTHS
        assert truths_again(needs, never, {}) is NO_TRUTHS


def test_examples_cannot_be_items_of_two_columns(known: Truths, tmp_path: Path) -> None:
    cells = [{"row": 0, "column": 0}]
    as_lines(tmp_path, [{**record, "cells": cells} for record in records()])
    with pytest.raises(UsageError, match="cannot be questions and cells at once"):
        planned(truths_of(tmp_path), NEEDS | Needs(items=("cells",)))


def test_columns_without_any_item_are_refused(known: Truths, tmp_path: Path) -> None:
    as_lines(tmp_path, [{**record, "questions": []} for record in records()])
    with pytest.raises(Mismatch, match=r"none of the images of .* has questions") as refusal:
        planned(truths_of(tmp_path))
    assert "truths.jsonl" in str(refusal.value.hint)


def test_truths_that_can_no_longer_be_read_have_changed(known: Truths, tmp_path: Path) -> None:
    recorded = planned(known).digests
    assert digests_again(truths_of(tmp_path), ("text",), recorded)["text"] == recorded["text"] == known.digest(["text"])
    as_lines(tmp_path, [{**record, "text": 7} for record in records()])
    with pytest.raises(Drift, match="text of row 0"):
        truths_again(NEEDS, lambda: truths_of(tmp_path), recorded)


def _not_json(file: Path) -> None:
    file.write_text("not json\n" + file.read_text())


def _twice(file: Path) -> None:
    file.write_text(file.read_text() * 2)


def _two_files(file: Path) -> None:
    file.with_name("truths.arrow").touch()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("change", [_not_json, _twice, _two_files, _pipe, _folder, Path.unlink])
def test_a_file_of_truths_that_can_no_longer_be_opened_has_changed(
    change: Callable[[Path], None], known: Truths, tmp_path: Path
) -> None:
    recorded = planned(known).digests
    change(tmp_path / "truths.jsonl")
    with pytest.raises(Drift, match="truth") as refusal:
        truths_again(NEEDS, lambda: truths_of(tmp_path), recorded)
    assert refusal.value.hint == "bring them back as they were, or start a new run"
