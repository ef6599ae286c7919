"""The documentation names only what exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_a_page_names_exists(page):
    text = page.read_text("utf-8")
    named = re.findall(r"`((?:tests|kdcache|students|cli|configs|docs)/[\w./-]*)`", text)
    links = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    missing = [n for n in named if not (ROOT / n).exists()] + [t for t in links if not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_a_page_shows_is_understood(page):
    """Each `kd ...` in a shell block has words and options that exist."""
    from tests.cli.reference import commands

    known = {tuple(words): command for words, command in commands()}
    for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        for line in re.findall(r"^(?:[A-Z_]+=\S.*? )?kd (.+?)(?:\s+#.*)?$", block, re.MULTILINE):
            words = line.split()
            depth = max(n for n in range(len(words) + 1) if tuple(words[:n]) in known)
            command = known[tuple(words[:depth])]
            assert not hasattr(command, "commands"), f"no command: kd {line}"
            options = {name for parameter in command.params for name in parameter.opts}
            assert {word for word in words if word.startswith("-")} <= options, line
