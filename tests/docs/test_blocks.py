"""What a page shows to be typed works when it is typed, from the top of the page to its end; blocks.py says what is left out."""

from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import Block, blocks_of, indented_blocks, name_of, pages
from tests.docs.commands import lines_of, run_line

PAGES = [page for page in pages() if any(block.is_run_here for block in blocks_of(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_can_be_followed_from_top_to_bottom(page: Path, here: Path):
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.is_run_here:
            run_block(block, names)


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Run one block in the folder that is current; Python blocks of a page share `names`."""
    if block.kind == "saved as":
        Path(block.why).write_text(f"{block.text}\n", "utf-8")
    elif block.language == "python":
        exec(compile(block.as_run(), str(block), "exec"), names)
    else:
        for line in lines_of(block.as_run()):
            run_line(line)


def page_of(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    return page


def test_a_block_that_fails_fails_its_page(tmp_path):
    page = page_of(tmp_path, "```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    names: dict[str, Any] = {}
    first, second = blocks_of(page)
    run_block(first, names)
    with pytest.raises(AssertionError):
        run_block(second, names)


@pytest.mark.parametrize("line", ["kd cache info nowhere", "kd nonsense", "make test", "kd cache info | cat", "cp a"])
def test_a_command_that_fails_or_is_not_understood_fails_its_page(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError):
        run_line(line)


def test_comments_before_a_block_say_how_it_is_tested(tmp_path):
    text = (
        "# Page\n\n<!-- not run: takes an hour -->\n\n```sh\nmake demo\n```\n\n<!-- run with:\n  a => b\n  c => d\n-->\n"
        "```sh\na c # e\n```\n\n- item\n\n  ```python\n  x = 1\n  ```\n\n```text\na\n```\n"
    )
    skipped, replaced, listed, shown = blocks_of(page_of(tmp_path, text))
    assert (skipped.kind, skipped.why, skipped.is_run_here) == ("not run", "takes an hour", False)
    assert (replaced.is_run_here, replaced.as_run(), lines_of(replaced.as_run())) == (True, "b d # e", ["b d # e"])
    assert (listed.is_run_here, listed.text, listed.line) == (True, "x = 1", 19)
    assert not shown.is_run_here


def test_a_page_may_be_run_by_another_test_as_a_whole(tmp_path):
    page = page_of(
        tmp_path,
        "<!-- run by: tests/test_api.py -->\n\n# Page\n\n```python\nx\n```\n\n"
        "<!-- not run: it is an idea -->\n```sh\ny\n```\n",
    )
    assert [block.kind for block in blocks_of(page)] == ["run by", "not run"]


def test_a_replacement_must_be_there(tmp_path):
    (block,) = blocks_of(page_of(tmp_path, "<!-- run with: photos => pictures -->\n```sh\nkd cache info\n```\n"))
    with pytest.raises(AssertionError, match="`photos` is not in the block"):
        block.as_run()


def test_a_block_by_indentation_alone_is_noticed(tmp_path):
    page = page_of(
        tmp_path,
        "# Page\n\n    kd cache info\n\n- item\n\n    goes on\n\n```text\n\n    not this\n```\n\nText\n\n    nor a second\n",
    )
    assert indented_blocks(page) == [3, 16]
