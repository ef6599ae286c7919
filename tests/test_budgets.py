"""Files of one idea, functions that fit on half a screen, public things that say what they are."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("kdcache", "students", "cli")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 40


def definitions(path, kinds):
    """(dotted name, node) of every definition that is not inside a function."""

    def walk(node, prefix):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.FunctionDef | ast.ClassDef):
                if isinstance(inner, kinds):
                    yield f"{prefix}{inner.name}", inner
                if isinstance(inner, ast.ClassDef):
                    yield from walk(inner, f"{prefix}{inner.name}.")

    return list(walk(ast.parse(path.read_text("utf-8")), ""))


def lines_of(node):
    """Lines of a function without its docstring, which may take the room it needs."""
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node):
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_says_its_job(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MOST_FILE_LINES
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no module docstring"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_fit_on_half_a_screen(path):
    long = {name: lines_of(node) for name, node in definitions(path, ast.FunctionDef)}
    assert {name: lines for name, lines in long.items() if lines > MOST_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_things_say_what_they_are(path):
    """A method of a private class may rely on what it implements."""
    silent = [
        name
        for name, node in definitions(path, ast.FunctionDef | ast.ClassDef)
        if not any(word.startswith("_") for word in name.split(".")) and not ast.get_docstring(node)
    ]
    assert silent == []
