"""Every block of docs/api.md runs, one after the other, on the cache the page names."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.app import run

    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    (line,) = re.findall(r"```sh\nkd (.+)\n```", text)
    assert run([*line.split(), "--workers", "0", "--device", "cpu", "-qq"]) == 0
    names: dict[str, Any] = {}
    for number, block in _blocks(compares=False):
        exec(compile(block, f"docs/api.md, block {number}", "exec"), names)
    entry = names["entry"]
    assert (entry.row, entry.view, list(entry)) == (7, 0, ["logits", "embedding"])
    assert names["dense"].shape == (1, 100)
    assert names["values"]["embedding"].shape == (200, 128)


@pytest.mark.slow
def test_the_comparison_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    ((number, block),) = _blocks(compares=True)
    exec(compile(block, f"docs/api.md, block {number}", "exec"), names)
    found = names["found"]
    assert [row.arm for row in found.verdict.rows] == ["on-stream", "off-stream"]
    assert found.report.is_file()


def _blocks(*, compares: bool) -> list[tuple[int, str]]:
    """Blocks of the page with their numbers: those that compare, which takes long, or the others."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) > 10
    return [each for each in enumerate(blocks, 1) if ("compare_streams" in each[1]) == compares]


def test_every_argument_of_a_stream_is_told() -> None:
    import inspect

    from kdcache import Cache

    listed = re.findall(r"^\| (`.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    named = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    assert set(inspect.signature(Cache.stream).parameters) - {"self"} <= named


def test_every_kind_of_source_has_its_chapter() -> None:
    from kdcache.images.registry import KINDS

    page = (PAGE.parent / "sources.md").read_text("utf-8")
    for name, kind in KINDS:
        assert re.search(rf"^## .*`{name}\b", page, re.MULTILINE), name
        for option in kind.options.keys() - {kind.subject}:
            chapter = re.split(r"^## ", page[page.index(f"`{name}", page.index("## ")) :], flags=re.MULTILINE)[0]
            assert re.search(rf"\b{option}\b", chapter, re.IGNORECASE), (name, option)


def test_every_argument_of_a_dataset_is_told() -> None:
    import inspect

    from kdcache import Cache

    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert set(inspect.signature(Cache.dataset).parameters) - {"self"} <= listed


def test_every_kind_of_truth_is_told() -> None:
    from kdcache.images.truths import KINDS

    chapter = (PAGE.parent / "sources.md").read_text("utf-8").partition("## Truths")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", chapter, re.MULTILINE) == list(KINDS)
