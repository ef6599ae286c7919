"""What is installed is all that is needed: the wheel carries presets and nano weights, and works outside a checkout."""

import configparser
import importlib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

OUTSIDE = """
import kdcache
from kdcache.config.presets import config_root, load_preset
from kdcache.teachers.registry import open_teacher
from kdcache.teachers.loading.sizes import family_facts
from kdcache.views.recipe import Augment
assert kdcache.__file__.startswith({site!r}), kdcache.__file__
assert str(config_root()).startswith({site!r}), config_root()
load_preset("views", "augment", Augment)
family_facts("florence")
open_teacher("florence", size="nano")
open_teacher("clip", size="nano")
open_teacher("data2vec", size="nano", signals=("inputs", "targets"))
from cli.app import run
assert run(["config", "list"]) == 0
"""


MOST_BYTES, MOST_FILE_BYTES = 16_000_000, 3_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel) -> Path:
    """The wheel, unpacked as an installer would."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(wheel.parent / "site")
    return wheel.parent / "site"


@pytest.fixture(scope="module")
def about(site) -> Path:
    """The folder with what the wheel says of itself."""
    (folder,) = site.glob("kd_cache-*.dist-info")
    return folder


def test_the_wheel_is_small(wheel, site):
    """Packed and unpacked: what is downloaded, and what lies on the disk."""
    sizes = {str(path.relative_to(site)): path.stat().st_size for path in site.rglob("*") if path.is_file()}
    assert wheel.stat().st_size <= MOST_BYTES
    assert sum(sizes.values()) <= MOST_BYTES
    assert {name: size for name, size in sizes.items() if size > MOST_FILE_BYTES} == {}


def test_the_wheel_brings_its_license_and_its_types(site, about):
    metadata = (about / "METADATA").read_text("utf-8")
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nLicense-File: LICENSE\n" in metadata
    assert (about / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert [name for name in ("kdcache", "students") if not (site / name / "py.typed").is_file()] == []


def test_the_wheel_brings_every_entry_point_of_the_project(about):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {"console_scripts": project["scripts"], **project["entry-points"]}
    read = configparser.ConfigParser(delimiters=("=",))
    read.optionxform = str  # type: ignore[assignment]
    read.read(about / "entry_points.txt", "utf-8")
    assert {group: dict(read[group]) for group in read.sections()} == wanted
    assert wanted["console_scripts"] == {"kd": "cli:main"}


def test_every_entry_point_leads_somewhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for group in (project["scripts"], *project["entry-points"].values()):
        for target in group.values():
            module, _, name = target.partition(":")
            assert getattr(importlib.import_module(module), name, None) is not None, target


def test_the_wheel_holds_every_preset(site):
    here = {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")}
    there = {path.relative_to(site / "kdcache/_configs") for path in (site / "kdcache/_configs").rglob("*.yaml")}
    assert here == there


def test_the_wheel_holds_small_weights(site):
    weights = sorted((site / "kdcache").rglob("*.safetensors"))
    names = {"data2vec.safetensors", "florence.safetensors", "model.safetensors"}
    assert {path.name for path in weights} == names
    assert all(path.stat().st_size <= 2_000_000 for path in weights)


def test_the_wheel_holds_nothing_else(site, about):
    assert {path.name for path in site.iterdir()} == {"kdcache", "students", "cli", about.name}
    assert {path.suffix for path in site.rglob("*") if path.is_file()} <= {
        ".py", ".yaml", ".safetensors", ".json", ".txt", ".typed", "",
    }  # fmt: skip


@pytest.mark.slow
def test_the_wheel_works_outside_a_checkout(site, tmp_path):
    script = f"import sys; sys.path.insert(0, {str(site)!r})\n" + OUTSIDE.format(site=str(site))
    subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, check=True)
