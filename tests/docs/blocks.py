"""The code blocks of the pages, and the comments before them that say how they are tested.

A block is fenced and names its language. What is there to be typed (`sh`, `bash`, `python`) is run by test_blocks.py, page by
page, from top to bottom in one folder, unless an HTML comment right before it says otherwise:

    <!-- not run: takes ten minutes -->
    <!-- run by: tests/test_api.py -->
    <!-- run with: shapes => shapes:count=64 -->
    <!-- saved as: my.yaml -->

`run with` may have several lines of `old => new`; each `old` must be in the block. As the first line of a page, `run by` counts
for all blocks that have no comment of their own. Readers of the rendered page see none of it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNNABLE = ("sh", "bash", "python")
PLAIN = ("text", "json", "yaml", "toml", "mermaid", "csv", "html")
"""languages of blocks that show something and are not there to be typed"""
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<language>\w*)$")
_MARK = re.compile(
    r"<!--\s*(?P<kind>not run|run by|run with|saved as):\s*(?P<text>(?:(?!-->).)*?)\s*-->\s*\Z", re.DOTALL
)
_MOST_MARK_LINES = 12
_LIST = re.compile(r"^\s*(?:[-*]|\d+\.) ")


def pages() -> list[Path]:
    """Every page that a reader may come to."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """`docs/guides/own-photos.md`"""
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    """of its opening fence, from 1"""
    language: str
    text: str
    """without the indentation of its fence"""
    kind: str | None = None
    """`not run`, `run by`, `run with`, `saved as`, or None: it is run as it stands"""
    why: str = ""
    """what stands behind the colon of that comment"""

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"

    @property
    def is_run_here(self) -> bool:
        """Whether the runner of this folder executes it, or saves it for those that follow."""
        return self.kind == "saved as" or (self.language in RUNNABLE and self.kind in (None, "run with"))

    def as_run(self) -> str:
        """The text with the replacements of `run with`."""
        text = self.text
        for line in filter(None, map(str.strip, self.why.splitlines())) if self.kind == "run with" else ():
            old, arrow, new = line.partition(" => ")
            assert arrow, f"{self}: `{line}` is no `old => new`"
            assert old in text, f"{self}: `{old}` is not in the block"
            text = text.replace(old, new)
        return text


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    lines = page.read_text("utf-8").split("\n")
    first = _MARK.search(lines[0])
    of_page = first if first is not None and first["kind"] == "run by" else None
    blocks, at = [], 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if opening is None:
            at += 1
            continue
        end = lines.index(opening["indent"] + opening["ticks"], at + 1)
        mark = _MARK.search("\n".join(lines[max(at - _MOST_MARK_LINES, 0) : at])) or of_page
        text = "\n".join(line.removeprefix(opening["indent"]) for line in lines[at + 1 : end])
        kind, why = (mark["kind"], mark["text"]) if mark is not None else (None, "")
        blocks.append(Block(page, at + 1, opening["language"], text, kind, why))
        at = end + 1
    return blocks


def indented_blocks(page: Path) -> list[int]:
    """Lines that begin a block by indentation alone, which has no language and so cannot be told from one to be run."""
    blocks, fenced, in_list, before = [], False, False, ""
    for number, line in enumerate(page.read_text("utf-8").split("\n"), 1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and line.strip():
            if not line.startswith(" "):
                in_list = _LIST.match(line) is not None
            elif line.startswith("    ") and not before.strip() and not in_list:
                blocks.append(number)
        before = line
    return blocks
