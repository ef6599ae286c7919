"""docs/extending.md is a package as it stands there: installed by pip, it is built from, trained, judged, reported and tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.toy_trip.renamed import pip_install
from tests.toy_trip.trip import ROOT, environment, run

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "extending.md"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The blocks under the names that stand above them, in the outer folder."""
    source = tmp_path_factory.mktemp("page") / "kd_stripes"
    lines = PAGE.read_text("utf-8").split("\n")
    for block in blocks_of(PAGE):
        if block.language in ("python", "toml", "yaml"):
            above = "\n".join(lines[: block.line - 1]).rstrip()
            name = re.search(r"`([\w/.-]+)`:\Z", above)
            assert name, f"{block}: no name of a file stands above it"
            file = source / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text + "\n", "utf-8")
    return source


@pytest.fixture(scope="module")
def package(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip makes of it."""
    site = tmp_path_factory.mktemp("site")
    pip_install(source, site)
    return site


def test_the_page_shows_where_each_file_lies(source):
    (shown,) = (each.text for each in blocks_of(PAGE) if each.language == "text" and "pyproject.toml" in each.text)
    outer, own = shown.split("    kd_stripes/\n")
    listed = set(re.findall(r"[\w-]+\.(?:py|toml)", outer))
    for line in own.splitlines():
        folder, _, names = line.strip().rpartition("/")
        listed |= {str(Path("kd_stripes", folder, name)) for name in names.split(", ")}
    assert listed == {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}


def test_its_commands_do_what_they_say(package, tmp_path):
    (block,) = (each for each in blocks_of(PAGE) if each.language == "sh")
    pip, *commands = block.text.strip().split("\n")
    assert pip == "pip install kd_stripes/"
    listed, *_, judged, _ = run(package, tmp_path / "trip", [line.removeprefix("kd ") for line in commands])
    assert "stripes" in listed.out
    assert "right" in judged.out
    assert (tmp_path / "trip/run/report.html").is_file()


def test_it_keeps_the_contracts_it_names(package, source):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib",
         str(source / "test_contracts.py")],
        cwd=package, env=environment(package), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 30
