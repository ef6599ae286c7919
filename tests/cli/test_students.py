"""`kd student`: presets and runs are listed, shown and exported."""

import pytest

from students.export.exported import Exported
from tests.students.trained import NAMES, make_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "first").path


def test_students_are_listed_smallest_first(kd):
    ran = kd("student", "list", "--json")
    assert ran.code == 0
    assert [student["name"] for student in ran.json] == [
        "tinyvit-5m", "tinyvit-11m", "tinyvit-21m", "data2vec-nano", "data2vec-5x768",
    ]  # fmt: skip
    assert ran.json[0]["parameters"] == 5_392_764
    assert ran.json[0]["input"] == [224, 224]


def test_people_get_a_table_of_students(kd):
    lines = kd("student", "list").out.splitlines()
    assert lines[0].split() == ["student", "input", "parameters", "multiply-adds", "made", "of"]
    assert lines[1].split() == ["tinyvit-5m", "224", "5.4", "M", "1.26", "G", "tiny_vit_5m_224", "of", "timm"]
    assert lines[4].endswith("3 blocks on the encoder of a data2vec teacher of 64 pixels in 8s, 96 wide")


@pytest.mark.parametrize(
    ("count", "shown"), [(227, "227"), (59_392, "59,392"), (540_000, "0.5 M"), (5_392_764, "5.4 M")]
)
def test_no_student_is_so_small_that_its_parameters_are_rounded_to_nothing(count, shown):
    from cli.student import _millions

    assert _millions(count) == shown


def test_a_preset_is_shown_at_any_size(kd):
    ran = kd("student", "show", "tinyvit-21m", "--input-size", 384, "--classes", 10, "--json")
    assert ran.json["windows"] == [12, 12, 24, 12]
    assert ran.json["geometry"]["fit"] == "squash"
    assert ran.json["classes"] == 10
    assert "12/12/24/12" in kd("student", "show", "tinyvit-21m", "--input-size", 384).out


def test_a_size_it_cannot_see_is_refused(kd):
    ran = kd("student", "show", "tinyvit-5m", "--input-size", 100)
    assert ran.code == 2
    assert "96 and 128" in ran.err


def test_a_run_is_shown_as_it_was_trained(kd, trained):
    ran = kd("student", "show", trained)
    assert ran.code == 0
    assert "64×64" in ran.out
    assert "4 classes: circle, square, star, Dreieck ▲" in ran.out
    assert kd("student", "show", trained, "--input-size", 96).code == 2


def test_a_name_nobody_knows_is_told_with_the_presets(kd):
    ran = kd("student", "show", "tinyvit-6m")
    assert ran.code == 2
    assert "neither a student nor a run" in ran.err
    assert "tinyvit-5m, tinyvit-11m, tinyvit-21m" in ran.err


def test_the_newest_run_is_shown_and_exported(kd, tmp_path):
    import timm
    import torch

    run = make_run(tmp_path / "kd" / "runs" / "one")
    assert kd("student", "show", "LATEST", "--json").json["classes"] == len(NAMES)
    ran = kd("student", "export", "LATEST", "--format", "timm", "--out", "out", "--json")
    assert ran.code == 0
    names = ("model.safetensors", "config.json", "preprocess.json", "prepare.py")
    assert ran.json["files"] == [f"out/{name}" for name in names]
    assert ran.json["max_abs_difference"] is None
    pixels = torch.ones(1, 3, 64, 64)
    with torch.no_grad():
        opened = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
        assert torch.equal(opened(pixels), run.network()(pixels))


def test_an_onnx_export_tells_how_far_it_is_from_torch(kd, trained, monkeypatch):
    """Only the words: the export itself takes 20 seconds, and tests/students/test_export.py has done it."""
    monkeypatch.setattr(
        "students.export.onnx.export_onnx", lambda run, out: Exported((out / "model.onnx",), 3e-6, 2e-6)
    )
    words = ["student", "export", trained, "--format", "onnx", "--out", "out"]
    assert "differs from torch by at most 3.0e-06, 2.0e-06 of the largest logit" in kd(*words).out
    ran = kd(*words, "--json")
    assert ran.json["files"] == ["out/model.onnx"]
    assert (ran.json["max_abs_difference"], ran.json["max_relative_difference"]) == (3e-6, 2e-6)


def test_no_run_is_told_with_the_way_to_one(kd):
    ran = kd("student", "export", "LATEST", "--format", "timm", "--out", "out")
    assert ran.code == 2
    assert "kd train" in ran.err


def test_an_export_is_not_written_over(kd, run, tmp_path):
    words = ["student", "export", run, "--format", "timm", "--out", tmp_path / "out"]
    assert kd(*words).code == 0
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    ran = kd("student", "export", make_run(tmp_path / "other", seed=1).path, *words[3:])
    assert ran.code == 2
    assert "model.safetensors exists already" in ran.err
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before


def test_small_networks_are_counted_in_millions(kd):
    assert "M an image" in kd("student", "show", "tinyvit-5m", "--input-size", 32).out
