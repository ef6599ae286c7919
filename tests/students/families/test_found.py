"""Families and presets of other packages are found beside ours; a run of a family nobody has is told, not crashed on."""

import json
import sys
from pathlib import Path

import pytest

from kdcache.config.presets import config_path, load_config, preset_names
from kdcache.errors import Mismatch, UsageError
from students.families.registry import FAMILIES, family_order, preset_model, student_names, student_preset, student_spec
from students.runs.run import Run
from tests.packages import install
from tests.students.families.test_elastic import FOURTH
from tests.students.trained import make_run

TOY = """
from pathlib import Path
from students.base.plugins import Plugin
from students.families.tinyvit.family import TinyViT

class Toy(TinyViT):
    name = "toy"

PLUGIN = Plugin(families=(Toy(),), presets=Path(__file__).parent)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package that brings a family and presets, one of which has the name of one of ours."""
    (tmp_path / "students").mkdir()
    for name in ("toy-small", "tinyvit-5m"):
        (tmp_path / f"students/{name}.yaml").write_text(FOURTH.replace("family: tinyvit", "family: toy"))
    points = {"kd.students": "found_toy = found_toy:PLUGIN"}
    monkeypatch.delitem(sys.modules, "found_toy", raising=False)
    install(monkeypatch, tmp_path, "toy-package", modules={"found_toy": TOY}, points=points)


def test_a_family_of_another_package_is_one_of_them(toy):
    assert "toy" in FAMILIES.names()
    assert "toy-small" in student_names()
    assert student_preset("toy-small").family == "toy"
    assert load_config("students", "toy-small", preset_model).origins["widths"] == "preset students/toy-small"


def test_students_of_other_packages_are_listed_after_ours(toy):
    assert family_order() == ["tinyvit", "data2vec", "toy"]


def test_nobody_takes_the_place_of_a_preset_of_ours(toy):
    assert preset_names("students").count("tinyvit-5m") == 1
    with pytest.raises(Mismatch, match="kd-cache and toy-package both bring the preset students/tinyvit-5m"):
        config_path("students", "tinyvit-5m")
    assert student_preset("tinyvit-11m").family == "tinyvit"


def test_the_run_of_a_family_that_is_gone_says_what_to_install(tmp_path):
    run = make_run(tmp_path / "r")
    plain = json.loads((run.path / "run.json").read_text())
    plain["student"]["family"] = "toy"
    (run.path / "run.json").write_text(json.dumps(plain))
    with pytest.raises(Mismatch, match="unknown student family 'toy'; there are data2vec, tinyvit") as refused:
        Run.open(run.path)
    assert refused.value.hint.startswith("install the package that brings it")
    assert "kd.students" in refused.value.hint


def test_mistakes_in_a_students_record_are_named_where_they_are(tmp_path):
    run = make_run(tmp_path / "r")
    plain = json.loads((run.path / "run.json").read_text())
    plain["student"]["widths"][1] = "wide"
    (run.path / "run.json").write_text(json.dumps(plain))
    with pytest.raises(Exception, match=r"student\.widths\.1") as refused:
        Run.open(run.path)
    assert "\n" not in refused.value.message  # type: ignore[attr-defined]


def test_every_preset_of_ours_names_a_family_and_becomes_a_student():
    root = Path(__file__).parents[3] / "configs/students"
    assert {path.stem for path in root.glob("*.yaml")} <= set(student_names())
    for name in student_names():
        spec = student_spec(name, classes=("a", "b"))
        assert spec.family == student_preset(name).family
        assert type(spec).from_plain(spec.plain()) == spec


def test_a_preset_that_names_no_family_is_told(tmp_path):
    (tmp_path / "p.yaml").write_text("input: 32\n")
    with pytest.raises(UsageError, match="family: missing"):
        student_preset(str(tmp_path / "p.yaml"))
