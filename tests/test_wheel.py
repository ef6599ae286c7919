"""What is installed is all that is needed: the wheel carries presets and nano weights, and works outside a checkout."""

import subprocess
import sys
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


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A wheel, built without a network and unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_preset(site):
    here = {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")}
    there = {path.relative_to(site / "kdcache/_configs") for path in (site / "kdcache/_configs").rglob("*.yaml")}
    assert here == there


def test_the_wheel_holds_small_nano_weights(site):
    weights = sorted((site / "kdcache").rglob("*.safetensors"))
    assert {path.name for path in weights} == {"data2vec.safetensors", "florence.safetensors", "model.safetensors"}
    assert all(path.stat().st_size <= 2_000_000 for path in weights)


def test_the_wheel_holds_nothing_else(site):
    (about,) = site.glob("kd_cache-*.dist-info")
    assert {path.name for path in site.iterdir()} == {"kdcache", "students", "cli", about.name}
    assert "kd = cli:main" in (about / "entry_points.txt").read_text()
    assert {path.suffix for path in site.rglob("*") if path.is_file()} <= {
        ".py", ".yaml", ".safetensors", ".json", ".txt", ".typed", "",
    }  # fmt: skip


def test_the_wheel_works_outside_a_checkout(site, tmp_path):
    script = f"import sys; sys.path.insert(0, {str(site)!r})\n" + OUTSIDE.format(site=str(site))
    subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, check=True)
