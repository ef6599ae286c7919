"""Teachers of other packages: listed, completed, opened, and where they are broken, told without harm to any other."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kdcache.errors import KDError, Mismatch, Unavailable, UsageError
from kdcache.teachers import registry
from tests.packages import install

GREY = """
from kdcache.teachers.family import TeacherFamily

FAMILY = TeacherFamily(name="{name}", about="the mean of all pixels", opener="{name}_tower:open_it")
"""
TOWER = """
import torch
from kdcache.signals.teacher import Preprocess, Weights
from kdcache.teachers.frozen import Candidate, Output
from kdcache.views.recipe import Plain


class Tower:
    taps = {"embedding": "mean of the pixels"}

    def __init__(self):
        self.network = torch.nn.Identity()

    def emit(self, pixels, wanted):
        return {"embedding": Output(self.network(pixels).mean((2, 3)))}


def open_it(request):
    pixels = Preprocess(size=(8, 8), geometry=Plain(fit="squash"), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    weights = Weights(source="package:grey", sha256="0" * 64)
    return Candidate(Tower(), request.model or "only", weights, request.prepared(lambda: pixels))
"""


def grey(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    modules = {name: GREY.format(name=name), f"{name}_tower": TOWER}
    install(monkeypatch, folder, f"{name}-package", modules=modules, points={"kd.teachers": f"{name} = {name}:FAMILY"})


def test_a_teacher_of_another_package_is_listed_and_opened(monkeypatch, tmp_path, pixels):
    grey(monkeypatch, tmp_path, "grey1")
    assert "grey1" in registry.teacher_names()
    teacher = registry.open_teacher("grey1", signals=["embedding"])
    assert teacher.spec.signal("embedding").shape == (3,)
    assert registry.sizes_of("grey1") == []
    with pytest.raises(UsageError, match="unknown teacher 'grey'; there are clip") as caught:
        registry.open_teacher("grey")
    assert caught.value.hint == "did you mean grey1?"


def test_a_declaration_is_read_without_its_heavy_half(monkeypatch, tmp_path):
    grey(monkeypatch, tmp_path, "grey2")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from kdcache.teachers.registry import teacher_names\n"
        "assert 'grey2' in teacher_names()\n"
        "sys.exit(bool({'torch', 'timm', 'transformers', 'numpy', 'grey2_tower'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_package_that_cannot_be_imported_is_named_and_harms_no_other(monkeypatch, tmp_path):
    points = {"kd.teachers": "broken1 = broken1:FAMILY"}
    install(monkeypatch, tmp_path, "broken-package", modules={"broken1": "import no_such_module"}, points=points)
    assert "broken1" not in registry.teacher_names()
    assert "clip" in registry.teacher_names()
    with pytest.raises(Unavailable, match="package broken-package cannot be loaded: ModuleNotFoundError: No module"):
        registry.open_teacher("broken1")
    assert [type(trouble) for trouble in registry.PLUGINS.troubles()] == [Unavailable]


def test_two_packages_with_one_name_are_one_clear_error(monkeypatch, tmp_path):
    text = GREY.format(name="clip")
    points = {"kd.teachers": "clip = clip_of_others:FAMILY"}
    install(monkeypatch, tmp_path, "rival", modules={"clip_of_others": text}, points=points)
    with pytest.raises(Mismatch, match="kd-cache and rival both bring the teacher 'clip'") as caught:
        registry.open_teacher("clip", size="nano")
    assert caught.value.hint == "pip uninstall rival"
    assert "florence" in registry.teacher_names()


@pytest.mark.parametrize(
    ("text", "message"),
    [("FAMILY = 7", "is a int, not a TeacherFamily"), (GREY.format(name="other"), "called 'other', not a")],
)
def test_what_is_no_declaration_is_refused(monkeypatch, tmp_path, text, message):
    module = f"odd{len(text)}"
    points = {"kd.teachers": f"{module} = {module}:FAMILY"}
    install(monkeypatch, tmp_path, "odd-package", modules={module: text}, points=points)
    with pytest.raises(Mismatch, match=message):
        registry.family_of(module)


def test_openers_of_the_first_edition_are_still_read(monkeypatch, tmp_path):
    modules = {"older_tower": TOWER + "\n\ndef kept(model, weights):\n    return ('embedding',)\n"}
    points = {"kdcache.teachers": "older = older_tower:open_it", "kdcache.signals": "older = older_tower:kept"}
    install(monkeypatch, tmp_path, "older-package", modules=modules, points=points)
    assert "older:NAME" in registry.teacher_names()
    assert registry.usual_signals("older:thing") == ("embedding",)
    assert registry.open_teacher("older:thing", signals=["embedding"]).spec.size == "thing"
    with pytest.raises(UsageError, match="older:NAME"):
        registry.open_teacher("older", signals=["embedding"])


def test_a_package_that_serves_both_editions_brings_its_teacher_once(monkeypatch, tmp_path):
    modules = {"both": GREY.format(name="both"), "both_tower": TOWER}
    points = {"kd.teachers": "both = both:FAMILY", "kdcache.teachers": "both = both_tower:open_it"}
    install(monkeypatch, tmp_path, "both-package", modules=modules, points=points)
    assert registry.family_of("both").about == "the mean of all pixels"


def test_a_run_declares_itself_as_other_packages_do():
    from students.as_teacher import FAMILY

    assert (FAMILY.name, FAMILY.written, FAMILY.headless) == ("run", "run:NAME", None)
    points = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    assert points["kd.teachers"] == {"run": "students.as_teacher:FAMILY"}


@pytest.mark.parametrize("name", registry.PLUGINS.names())
def test_every_family_declares_what_it_needs(name):
    family = registry.PLUGINS.find(name)
    assert family is not None
    assert family.about
    assert not (family.by_model and (family.sizes or family.packaged))
    for own in family.packaged:
        assert own.weights().is_file()
        assert own.pixels().size


def test_troubles_are_errors_with_a_way_out(monkeypatch, tmp_path):
    points = {"kd.teachers": "broken2 = broken2:FAMILY"}
    install(monkeypatch, tmp_path, "leaving", modules={"broken2": "raise SystemExit(3)"}, points=points)
    (trouble,) = registry.PLUGINS.troubles()
    assert isinstance(trouble, KDError)
    assert "pip uninstall leaving" in str(trouble.hint)


def test_the_command_line_knows_teachers_of_other_packages(monkeypatch, tmp_path, capsys):
    from cli.app import run
    from cli.options import _teachers

    grey(monkeypatch, tmp_path / "grey", "grey3")
    points = {"kd.teachers": "broken3 = broken3:FAMILY"}
    install(
        monkeypatch, tmp_path / "broken", "sick-package", modules={"broken3": "import nowhere_at_all"}, points=points
    )
    assert _teachers("gre") == ["grey3"]
    assert run(["--help"]) == 0
    assert run(["cache", "build", "--help"]) == 0
    assert "florence, grey3, hf:NAME" in " ".join(capsys.readouterr().out.split())
    assert run(["teacher", "list"]) == 0
    printed = capsys.readouterr()
    assert "the mean of all pixels" in printed.out
    assert "sick-package cannot be loaded" in printed.err


def test_a_cache_is_built_and_verified_with_a_teacher_of_another_package(monkeypatch, tmp_path):
    from kdcache.base.progress import Silent
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare
    from kdcache.build.run import build
    from kdcache.check.sampling import VerifyOptions
    from kdcache.check.verify import verify

    grey(monkeypatch, tmp_path / "site", "grey4")
    options = BuildOptions(
        "grey4", data="shapes:count=6,size=32", signals=("embedding",), batch=4, workers=0, devices=("cpu",)
    )
    assert build(prepare(options, tmp_path / "c"), progress=Silent()).complete
    report = verify(tmp_path / "c", VerifyOptions(teacher=6), Silent())
    assert report.ok
    assert report.rerun == 6
