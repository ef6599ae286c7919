"""What leaves says the same logits elsewhere: in timm, and in onnxruntime."""

import json
import sys

import pytest
import torch

from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.views.recipe import Plain
from students.export import onnx as export
from students.export.onnx import export_onnx
from students.export.timm import export_timm
from tests.students.trained import NAMES, make_run, small_spec


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


def pixels(count=3, size=64):
    return torch.randn((count, 3, size, size), generator=torch.Generator().manual_seed(5))


def logits(network, batch):
    with torch.no_grad():
        return network.eval()(batch)


# ---- timm


def test_timm_opens_the_folder_and_says_the_same(run, tmp_path):
    import timm

    done = export_timm(run, tmp_path / "out")
    assert {path.name for path in done.files} == {path.name for path in (tmp_path / "out").iterdir()}
    opened = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True)
    assert torch.equal(logits(opened, pixels()), logits(run.network(), pixels()))


def test_timm_learns_how_pixels_are_prepared_and_what_classes_are_called(run, tmp_path):
    import timm

    export_timm(run, tmp_path)
    opened = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    config = timm.data.resolve_data_config(model=opened)
    assert tuple(config["input_size"]) == (3, 64, 64)
    assert config["mean"] == pytest.approx(run.record.student.mean)
    assert config["std"] == pytest.approx(run.record.student.std)
    assert (config["crop_pct"], config["crop_mode"], config["interpolation"]) == (0.875, "center", "bicubic")
    assert tuple(opened.pretrained_cfg["label_names"]) == NAMES
    assert opened.num_classes == len(NAMES)
    assert opened.stages[2].blocks[0].window_size == 4


def test_timm_learns_that_larger_inputs_are_squashed(tmp_path):
    large = make_run(tmp_path / "run", small_spec(size=256))
    export_timm(large, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))["pretrained_cfg"]
    assert (config["crop_mode"], config["crop_pct"], config["input_size"]) == ("squash", 1.0, [3, 256, 256])


def test_a_geometry_that_timm_cannot_say_is_refused_before_anything_is_written(tmp_path):
    geometries = {
        "pads": Plain(fit="pad"),
        "cuts": Plain(fit="crop", cut="floor"),
        "turns": Plain(fit="squash", turn=True),
    }
    for number, (word, geometry) in enumerate(geometries.items()):
        run = make_run(tmp_path / f"run{number}", small_spec().model_copy(update={"geometry": geometry}))
        with pytest.raises(UsageError, match=word):
            export_timm(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- ONNX


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx")
    return export_onnx(run, out), out / "model.onnx"


def test_onnxruntime_says_the_same_for_any_batch(run, exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(exported[1], providers=["CPUExecutionProvider"])
    for count in (1, 2, 7):
        (theirs,) = session.run(["logits"], {"pixels": pixels(count).numpy()})
        ours = logits(run.network(), pixels(count))
        assert theirs.shape == (count, len(NAMES))
        torch.testing.assert_close(torch.from_numpy(theirs), ours, atol=1e-4, rtol=1e-4)


def test_the_difference_is_told_and_small(exported):
    done, path = exported
    assert done.files[0] == path
    assert {file.name for file in done.files} == {"model.onnx", "preprocess.json", "prepare.py"}
    assert 0 <= done.share <= 1e-4
    assert done.difference >= done.share * 0.01


def test_the_file_says_whose_student_it_is_and_nothing_of_this_machine(run, exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(exported[1], providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["student"]) == run.record.student.plain()
    raw = exported[1].read_bytes()
    assert sys.prefix.encode() not in raw
    assert b"site-packages" not in raw


def test_a_file_that_disagrees_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_onnx_bytes", lambda network, spec: b"")
    monkeypatch.setattr(export, "_difference", lambda network, model, spec: (0.5, 0.1))
    with pytest.raises(Mismatch, match=r"disagree by 1\.0e-01"):
        export_onnx(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_differences_that_are_no_numbers_are_disagreement(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_onnx_bytes", lambda network, spec: b"")
    monkeypatch.setattr(export, "_difference", lambda network, model, spec: (float("nan"), float("nan")))
    with pytest.raises(Mismatch):
        export_onnx(run, tmp_path / "out")


def test_the_difference_of_another_student_is_large(run, exported, tmp_path):
    other = make_run(tmp_path / "run", seed=1)
    _, share = export._difference(other.network(), exported[1].read_bytes(), other.record.student)
    assert share > 0.01


def test_missing_libraries_are_named_with_their_extra(run, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name.startswith("onnx") else object())
    with pytest.raises(Unavailable, match="onnx, onnxruntime, onnxscript") as caught:
        export_onnx(run, tmp_path)
    assert caught.value.hint == "pip install 'kd-cache[onnx]'"
