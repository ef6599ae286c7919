"""The documentation names only what exists, and every block of code in it is tested or says why it is not."""

import re

import pytest

from tests.docs.blocks import PLAIN, ROOT, RUNNABLE, Block, blocks_of, indented_blocks, name_of, pages

PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [block for block in BLOCKS if block.language in ("sh", "bash")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_a_page_names_exists(page):
    text = page.read_text("utf-8")
    named = re.findall(r"`((?:tests|kdcache|students|cli|configs|docs)/[\w./-]*)`", text)
    links = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    missing = [n for n in named if not (ROOT / n.split("NAME")[0]).exists()] + [
        t for t in links if not (page.parent / t).exists()
    ]
    assert missing == []


def test_the_index_lists_every_page():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index.read_text("utf-8"))}
    assert [name_of(page) for page in PAGES if page.is_relative_to(index.parent) and page not in {*linked, index}] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_fenced_and_names_its_language(page):
    assert indented_blocks(page) == [], "fence them: ```sh, ```python, or ```text for what is only shown"
    strange = [str(block) for block in blocks_of(page) if block.language not in (*RUNNABLE, *PLAIN)]
    assert strange == [], f"languages are {', '.join((*RUNNABLE, *PLAIN))}"


def test_a_block_that_is_not_run_says_why():
    short = [str(block) for block in BLOCKS if block.kind == "not run" and len(block.why.split()) < 3]
    assert short == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "run by"], ids=str)
def test_a_block_that_another_test_runs_is_read_by_that_test(block: Block):
    test = ROOT / block.why
    assert test.is_file(), f"{block} is run by {block.why}, which does not exist"
    assert block.page.name in test.read_text("utf-8"), f"{block.why} does not read {block.page.name}"


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_every_command_a_page_shows_is_understood(block: Block):
    """Each `kd ...` of a shell block, whether the block is run or not, has words and options that exist."""
    from tests.cli.reference import commands

    known = {tuple(words): command for words, command in commands()}
    text = block.text.replace("\\\n", " ")
    for line in re.findall(r"^(?:[A-Z_]+=\S.*? )?kd (.+?)(?:\s+#.*)?$", text, re.MULTILINE):
        words = line.partition(" > ")[0].split()
        depth = max(n for n in range(len(words) + 1) if tuple(words[:n]) in known)
        command = known[tuple(words[:depth])]
        assert not hasattr(command, "commands"), f"no command: kd {line}"
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= options, line
