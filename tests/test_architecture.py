"""docs/architecture.md names every folder with the first line of its own docstring, and only files that are there."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"


def layers(package):
    """Folders of a package from the top layer to the bottom, as import-linter has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (ours,) = [contract for contract in contracts if contract.get("containers") == [package]]
    return [name.strip(" ()") for layer in ours["layers"] for name in layer.split("|")]


def rows(package):
    """The table the page should have: the flow from top to bottom, inner folders right below their own."""
    found = []
    for layer in reversed(layers(package)):
        folder = ROOT / package / layer
        for init in sorted(folder.rglob("__init__.py"), key=lambda path: path.parent):
            line = (ast.get_docstring(ast.parse(init.read_text("utf-8"))) or "").split("\n")[0]
            assert line, f"{init.parent} does not say what it is"
            found.append(f"| `{init.parent.relative_to(ROOT / package)}` | {line} |")
    return found


@pytest.mark.parametrize("package", ["kdcache", "students"])
def test_every_folder_is_in_the_table(package):
    page = PAGE.read_text("utf-8")
    _, _, after = page.partition(f"<!-- folders of {package} -->")
    table = [line for line in after.split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert table == rows(package), "\n".join(rows(package))


def test_what_to_change_is_where_the_page_says():
    """A place with NAME in it is a folder in which the other things of that kind lie."""
    page = PAGE.read_text("utf-8")
    for place in re.findall(r"`((?:kdcache|students|cli|configs)/[^`]*)`", page):
        path = ROOT / place.split("NAME")[0]
        assert path.exists(), place
