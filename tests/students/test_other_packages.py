"""Plugins of other packages: one that is broken, malformed or brings a name twice breaks nothing but itself."""

import sys

import pytest

from cli.app import run
from kdcache.config.presets import config_path
from kdcache.errors import KDError, Mismatch, UsageError
from students.base.plugins import plugins, troubles
from students.constraints.registry import CONSTRAINTS
from students.families.registry import FAMILIES, student_preset
from students.judging.registry import TASKS
from students.objectives.registry import OBJECTIVES
from students.recipe import Recipe
from students.runs.overview import list_runs
from tests.packages import install
from tests.students.trained import make_run

HEAD = """
from pathlib import Path
from students.base.plugins import Plugin
from students.base.objective import Constraint, Objective
from students.families.tinyvit.family import TinyViT
from students.judging.registry import TASKS

class Family(TinyViT):
    name = "same"

class Loss(Objective):
    kind = "same"

class Limit(Constraint):
    kind = "same"

class Task(type(TASKS.get("knn"))):
    name = "same"
"""
BROKEN = [
    ("import no_such_module", "ModuleNotFoundError"),
    ("raise ValueError('no licence')", "ValueError: no licence"),
    ("raise SystemExit(3)", "SystemExit: 3"),
]
ALL = "PLUGIN = Plugin((Family(),), (Loss,), (Limit,), (Task(),), Path(__file__).parent)"
MALFORMED = [
    ("PLUGIN = 5", "5 is a int, not a students.base.plugins.Plugin"),
    ("class Bare(Objective): pass\nPLUGIN = Plugin(objectives=(Bare,))", "has no `kind` that is a text"),
    ("PLUGIN = Plugin(objectives=(Limit,))", "is not a class derived from students.base.objective.Objective"),
    ("PLUGIN = Plugin(constraints=(3,))", "is not a class derived from students.base.objective.Constraint"),
    ("PLUGIN = Plugin(objectives=Loss)", "objectives is a ModelMetaclass, not a tuple"),
    ("PLUGIN = Plugin(families=(Family,))", "is a class, not a Family: write Family()"),
    ("PLUGIN = Plugin(families=(7,))", "is no Family: it has no name, description, spec"),
    ("PLUGIN = Plugin(tasks=(7,))", "is no Task: it has no name, description, settings"),
    ("PLUGIN = Plugin(families=(Family(), Family()))", "families has two that are called 'same'"),
    ("PLUGIN = Plugin(presets='/nowhere')", "presets is '/nowhere', a str, not a pathlib.Path"),
    ("PLUGIN = Plugin(presets=Path('/nowhere'))", "presets is /nowhere, which is no folder"),
]


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Installs a package with a plugin of that text."""

    def make(name: str, text: str) -> None:
        module = f"{name}_students"
        monkeypatch.delitem(sys.modules, module, raising=False)
        points = {"kd.students": f"{name} = {module}:PLUGIN"}
        install(monkeypatch, tmp_path / name, f"{name}-package", modules={module: text}, points=points)

    return make


@pytest.mark.parametrize(
    ("text", "why"),
    [*BROKEN, *((HEAD + text, why) for text, why in MALFORMED)],
    ids=[why for _, why in BROKEN + MALFORMED],
)
def test_a_broken_plugin_breaks_nothing_but_itself(package, text, why):
    package("sick", text)
    package("well", HEAD + ALL)
    (trouble,) = troubles()
    assert trouble.message.startswith("the plugin sick of the package sick-package")
    assert why in trouble.message
    assert "\n" not in trouble.message
    assert "pip uninstall sick-package" in str(trouble.hint)
    for registry in (FAMILIES, OBJECTIVES, CONSTRAINTS, TASKS):
        assert "same" in registry.names()
        assert registry.troubles() == [trouble]
        with pytest.raises(UsageError, match="the package sick-package"):
            registry.get("of-the-sick")
    assert student_preset("tinyvit-5m").family == "tinyvit"
    with pytest.raises(UsageError, match="no student is called of-the-sick; the plugin sick of"):
        student_preset("of-the-sick")
    with pytest.raises(ValueError, match="the package sick-package"):
        Recipe.from_plain({"objectives": {"own": {"kind": "labelss"}}})


def test_commands_go_on_and_lists_warn(package, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    package("sick", "raise ValueError('no licence')")
    made = make_run(tmp_path / "kd/runs/r1")
    for command in (["student", "list"], ["config", "list"]):
        assert run(command) == 0
        printed = capsys.readouterr()
        assert "tinyvit-5m" in printed.out
        assert printed.err.count("warning: the plugin sick of the package sick-package cannot be loaded") == 1
    for command in (
        ["student", "show", "tinyvit-5m"],
        ["config", "show", "recipes/demo"],
        ["student", "show", str(made.path)],
    ):
        assert run(command) == 0
    assert [entry.reason for entry in list_runs(tmp_path / "kd/runs")] == [None]


def test_a_name_that_two_packages_bring_is_one_clear_error(package, tmp_path):
    for name in ("first", "second"):
        package(name, HEAD + ALL)
        (tmp_path / name / "recipes").mkdir()
        (tmp_path / name / "recipes/same.yaml").write_text("# Twice.\n")
    assert len(plugins()) == 2
    for registry in (FAMILIES, OBJECTIVES, CONSTRAINTS, TASKS):
        with pytest.raises(Mismatch, match=f"first-package and second-package both bring the {registry.what} 'same'"):
            registry.get("same")
        assert [type(trouble) for trouble in registry.troubles()] == [Mismatch]
        assert len(registry.usable()) == len(registry.names()) - 1
    with pytest.raises(Mismatch, match="both bring the preset recipes/same"):
        config_path("recipes", "same")


def test_nobody_takes_the_place_of_a_thing_of_ours(package, tmp_path, capsys):
    package("rival", HEAD.replace('"same"', '"tinyvit"') + "PLUGIN = Plugin(families=(Family(),))")
    with pytest.raises(Mismatch, match="kd-cache and rival-package both bring the student family 'tinyvit'") as caught:
        FAMILIES.get("tinyvit")
    assert caught.value.hint == "pip uninstall rival-package"
    assert isinstance(caught.value, KDError)
    assert run(["student", "list"]) == 0
    printed = capsys.readouterr()
    assert "data2vec" in printed.out
    assert printed.err.count("warning: kd-cache and rival-package both bring") == 1
