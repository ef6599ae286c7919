"""Runs the lines of a shell block without a shell: `kd` in this process, as another process would load torch for every line.

What is understood is what the pages need: comments, lines that go on after a backslash, a variable before a command, `> FILE`.
Anything else is refused, so a page has to say that it is not run. A command that starts workers or looks for a GPU is told
`--workers 0 --device cpu`, so that it does not.
"""

import os
import shlex
import shutil
import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

_HERE = {"--workers": "0", "--device": "cpu"}


def lines_of(text: str) -> list[str]:
    """The commands of a shell block, each on one line and without its comment."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in (" ".join(shlex.split(line, comments=True)) and line.strip() for line in lines) if line]


def run_line(line: str) -> None:
    """Run one command; AssertionError where it fails or is not understood."""
    words = shlex.split(line, comments=True)
    variables: dict[str, str] = {}
    while "=" in words[0] and words[0].partition("=")[0].isidentifier():
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    target = None
    if ">" in words:
        words, (target,) = words[: words.index(">")], words[words.index(">") + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        output = _run(words, line)
    if target is not None:
        Path(target).write_text(output, "utf-8")
    sys.stdout.write(output)


def _run(words: list[str], line: str) -> str:
    if words[0] == "kd":
        return _kd(words[1:], line)
    if words[0] == "cp" and len(words) == 3:
        shutil.copy(words[1], words[2])
    elif words[0] == "cat" and len(words) > 1:
        return "".join(Path(name).read_text("utf-8") for name in words[1:])
    else:
        raise AssertionError(
            f"`{line}` is not run by tests/docs/commands.py: mark the block `<!-- not run: reason -->`"
        )
    return ""


def _kd(words: list[str], line: str) -> str:
    from cli.app import run

    more = [word for name, value in _HERE.items() if name in _options(words) - set(words) for word in (name, value)]
    output = StringIO()
    with redirect_stdout(output):
        code = run([*words, *more])
    assert code == 0, f"`{line}` ended with exit code {code} in {os.getcwd()}"
    return output.getvalue()


def _options(words: list[str]) -> set[str]:
    depth = max(n for n in range(len(words) + 1) if tuple(words[:n]) in _known())
    return _known()[tuple(words[:depth])]


@cache
def _known() -> dict[tuple[str, ...], set[str]]:
    from tests.cli.reference import commands

    return {tuple(words): {name for p in command.params for name in p.opts} for words, command in commands()}
