"""An exported student, run by timm and by onnxruntime without kd, scores what `kd eval` says, on whatever images there are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdcache.base.progress import Silent
from kdcache.store import Store
from students.export.onnx import export_onnx
from students.export.timm import export_timm
from students.judging.evaluate import JudgeOptions, images_of, judge_run
from students.runs.run import Run
from tests.docs.blocks import blocks_of
from tests.images.odd import odd_images
from tests.students.conftest import build_cache, learn

CLASSES = ("green circle", "green heart", "red circle")

OUTSIDE = '''
"""Logits of the images in a folder: no module of kd can be imported here."""
import json, sys
from pathlib import Path

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kdcache", "students", "cli", "tests"):
            raise ImportError(name)

sys.meta_path.insert(0, Nothing())
folder, images = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(folder))

import numpy as np, onnxruntime, timm, torch
from PIL import Image
from prepare import prepare

network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
usual = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
found = {"timm": {}, "onnx": {}, "black": {}}
for file in sorted(images.rglob("*.*")):
    name, pixels = str(file.relative_to(images)), prepare(file)[None]
    with torch.inference_mode():
        found["timm"][name] = network(torch.from_numpy(pixels))[0].tolist()
        found["black"][name] = network(usual(Image.open(file).convert("RGB"))[None])[0].tolist()
    found["onnx"][name] = session.run(["logits"], {"pixels": pixels})[0][0].tolist()
found["classes"] = list(network.pretrained_cfg["label_names"])
print(json.dumps(found))
'''


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of the same odd files, other pictures in each."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for file, raw in odd_images(number).items():
            (folder / name / file).write_bytes(raw)
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained from a cache of them on a colour that nobody would guess."""
    home = tmp_path_factory.mktemp("home")
    cache = build_cache(home / "cache", data=str(photos), teacher="clip", size="nano", background="250,120,30")
    assert Store.open(cache).plan.views.recipe.background == "250,120,30"
    return learn(home / "run", cache, steps=60, settings=("objective.hard=1", "objective.soft=0"))[0]


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both formats in one folder."""
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("exported")
    export_timm(run, out)
    export_onnx(run, out)
    return out


@pytest.fixture(scope="module")
def outside(exported: Path, photos: Path) -> dict:
    """What both programs say of every image."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-W", "ignore", "-c", OUTSIDE, str(exported), str(photos)]
    done = subprocess.run(command, cwd=exported, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def logits_of(run: Run, photos: Path) -> dict[str, list[float]]:
    """What `kd eval` goes by."""
    from students.judging.judged import JudgedStudent
    from students.judging.pictures import Pictures

    images = images_of(run, str(photos))
    student = JudgedStudent(run.network(), run.record.student, "cpu", "float32", 8)
    with Pictures(images, run.record.student, workers=0, batch=8) as pictures, student.at_rest():
        outputs = pictures.look(student.ask("logits"), progress=Silent())
        return {
            images.ids[row]: values
            for rows, logits in outputs
            for row, values in zip(rows, logits.tolist(), strict=True)
        }


def furthest(one: dict[str, list[float]], other: dict[str, list[float]]) -> float:
    assert one.keys() == other.keys()
    return max(abs(a - b) for name in one for a, b in zip(one[name], other[name], strict=True))


@pytest.mark.slow
def test_the_student_sees_what_its_teacher_saw(run):
    assert run.record.student.geometry.background == run.record.views.recipe.background == "250,120,30"


@pytest.mark.slow
@pytest.mark.parametrize("program", ["timm", "onnx"])
def test_it_says_the_logits_and_the_top1_that_kd_says(run, photos, outside, program):
    inside = logits_of(run, photos)
    assert furthest(inside, outside[program]) < 1e-4
    report, _ = judge_run(run, JudgeOptions(data=str(photos), device="cpu", precision="float32"), Silent())
    guesses = {name: CLASSES[logits.index(max(logits))] for name, logits in outside[program].items()}
    assert outside["classes"] == list(CLASSES)
    assert report.top1 == sum(name.startswith(f"{guess}/") for name, guess in guesses.items()) / len(guesses)
    assert report.top1 > 0.6


def test_black_under_alpha_would_say_something_else(run, photos, outside):
    inside = logits_of(run, photos)
    opaque = {name for name in inside if name.endswith(("/cmyk.jpg", "/grey.jpg", "/bits.png", "/turned-3.tiff"))}
    assert furthest({n: inside[n] for n in opaque}, {n: outside["black"][n] for n in opaque}) < 0.1
    clear = {name for name in inside if name.endswith(("/rgba.png", "/la.png"))}
    assert furthest({n: inside[n] for n in clear}, {n: outside["black"][n] for n in clear}) > 1.0


def test_the_words_of_the_guide_name_the_class_that_kd_names(run, photos, exported, tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "guides" / "own-photos.md"
    blocks = [block.text for block in blocks_of(page) if block.language == "python"]
    assert len(blocks) == 2
    for name in ("photos-student", "photos-onnx"):
        (tmp_path / name).symlink_to(exported)
    name = "green heart/rgba.png"
    (tmp_path / "photo.jpg").write_bytes((photos / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for block in blocks:
        exec(compile(block, "docs/guides/own-photos.md", "exec"), {})
        sys.modules.pop("prepare")
    logits = logits_of(run, photos)[name]
    assert capsys.readouterr().out.split("\n")[:2] == [CLASSES[logits.index(max(logits))]] * 2
