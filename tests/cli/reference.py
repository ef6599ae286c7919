"""Writes docs/cli.md and tests/cli/options.txt from the commands themselves: `python -m tests.cli.reference`."""

import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "cli.md"
OPTIONS = ROOT / "tests" / "cli" / "options.txt"
BEGIN = "<!-- From here on made by `make docs-cli`: the text of --help. -->"


def commands() -> Iterator[tuple[list[str], Any]]:
    """(words, command) of every command and group, depth first."""
    from cli.app import app

    def walk(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
        yield words, command
        for name, inner in sorted(getattr(command, "commands", {}).items()):
            yield from walk([*words, name], inner)

    yield from walk([], typer.main.get_command(app))


def help_of(words: list[str]) -> str:
    """What `kd WORDS --help` prints on a terminal of 100 columns."""
    from cli.app import run

    printed = StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "102"
    try:
        with redirect_stdout(printed):
            assert run([*words, "--help"]) == 0
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return printed.getvalue().rstrip()


def reference() -> str:
    """The generated half of docs/cli.md."""
    blocks = []
    for words, _ in commands():
        name = " ".join(["kd", *words])
        blocks.append(f"## `{name}`\n\n```text\n{help_of(words)}\n```\n")
    return "\n".join(blocks)


def document(written: str) -> str:
    """docs/cli.md with its generated half made anew."""
    head, mark, _ = written.partition(BEGIN)
    assert mark, f"docs/cli.md has lost the line {BEGIN}"
    return f"{head}{BEGIN}\n\n{reference()}"


def option_list() -> str:
    """One line for every option and argument of every command: what scripts may rely on."""
    lines = []
    for words, command in commands():
        for parameter in command.params:
            names = (
                " ".join(parameter.opts)
                if parameter.param_type_name == "option"
                else parameter.metavar or parameter.name
            )
            lines.append(f"{' '.join(['kd', *words])}: {names}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCS.write_text(document(DOCS.read_text("utf-8")), "utf-8")
    OPTIONS.write_text(option_list(), "utf-8")
