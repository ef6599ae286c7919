"""A run folder of a stranger: what lies in it is a run, or one line that names the file; nothing outside is read or written."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kdcache.errors import Damage, KDError, Mismatch
from students.judging.kept import read_evaluations
from students.report import write_report
from students.runs.checkpoint import Parts, State, load_checkpoint, save_checkpoint
from students.runs.metrics import lines_of
from students.runs.run import METRICS, Run
from tests.students.trained import make_run
from tests.test_plain_json import HOSTILE

TEXTS = {name: raw for name, raw in HOSTILE.items() if len(raw) < 10_000_000}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that no test may change."""
    return make_run(tmp_path_factory.mktemp("runs") / "r").path


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "r"))


def changed(path: Path, keys: str, value: object) -> None:
    """Set one dotted key of a JSON file."""
    content = json.loads(path.read_text())
    *groups, last = keys.split(".")
    inner = content
    for group in groups:
        inner = inner[int(group) if group.isdecimal() else group]
    inner[last] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("raw", TEXTS.values(), ids=TEXTS)
def test_run_json_and_evaluations_that_are_none_are_damage(raw, run):
    (run / "evals").mkdir()
    (run / "evals" / "classify-photos.json").write_bytes(raw)
    with pytest.raises(Damage, match=r"classify-photos\.json"):
        read_evaluations(Run.open(run))
    (run / "run.json").write_bytes(raw)
    with pytest.raises(Damage, match=r"run\.json"):
        Run.open(run)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("student.family", "nosuch"),
        ("student.network", "hf-hub:evil/model"),
        ("student.network", "resnet18"),
        ("student.windows", [2, 2, 4, 1 << 40]),
        ("student.windows", [64, 64, 128, 64]),
        ("student.input", [1 << 40, 1 << 40]),
        ("student.input", [0, 0]),
        ("student.input", [64, 96]),
        ("student.std", [0.0, 1.0, 1.0]),
        ("student.blocks", {"depth": 1 << 40}),
        ("student.family", "data2vec"),
        ("student.classes", ["a"]),
        ("student.classes", [f"{number}" for number in range(5)]),
        ("pacing.log_every", 0),
        ("pacing.steps", -1),
        ("pacing.micro", 1 << 62),
        ("processes", 0),
        ("recipe.batch", 0),
        ("seed", 1 << 80),
        ("format", [1]),
    ],
)
def test_a_record_that_no_training_wrote_is_told_before_a_network_is_built(keys, value, run):
    changed(run / "run.json", keys, value)
    started = time.monotonic()
    with pytest.raises((Damage, Mismatch)) as refused:
        Run.open(run).network()
    assert time.monotonic() - started < 10
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "[]",
        "{}",
        '{"kind": "train"}',
        '{"kind": ["train"], "step": 1}',
        '{"kind": "other", "step": 1}',
        '{"kind": "train", "step": "1"}',
        '{"kind": "train", "step": -1}',
        '{"kind": "train", "step": 1, "loss": "low"}',
        '{"kind": "train", "step": 1, "epoch": 1, "images": 8, "seconds": [1], "waiting": 0}',
        '{"kind": "train", "step": 1, "epoch": 1, "images": 8, "seconds": NaN, "waiting": 0}',
        '{"kind": "train", "step": 1, "epoch": 1, "images": 8, "seconds": 1e200, "waiting": 0}',
        '{"kind": "val", "step": 1}',
        '{"kind": "val", "step": 1, "loss": 0.5}',
        '{"kind": "val", "step": 1, "score": 0.5, "set": 5}',
        '{"kind": "val", "step": 1, "score": 0.5, "set": "a b"}',
        '{"kind": "val", "step": 1, "score": 0.5, "set": "\\u001b[2J"}',
        '{"kind": "end", "step": 1, "stopped": "\\u001b[2J"}',
        '{"kind": "end", "step": 1, "stopped": {"a": 1}}',
        "[" * 1000,
        '{"kind": "end", "step": ' + "9" * 5000 + "}",
        "x" * 100_000,
    ],
)
def test_a_line_of_another_shape_is_named_by_whoever_reads_it(line, run):
    (run / METRICS).write_text('{"kind": "end", "step": 1, "stopped": "done"}\n' + line + "\n")
    with pytest.raises(Damage, match=rf"line 2 of .*{METRICS} is damaged: ") as refused:
        write_report(Run.open(run), samples=1)
    assert refused.value.hint.startswith("remove that line: sed -i 2d ")
    with pytest.raises(Damage):
        list(lines_of(run / METRICS))


def test_a_line_that_a_crash_cut_short_is_left_out(run):
    (run / METRICS).write_text('{"kind": "end", "step": 1, "stopped": "done"}\n{"kind": "tra')
    assert len(Run.open(run).metrics()) == 1


@pytest.mark.parametrize("name", ["run.json", METRICS, "checkpoints", "evals", "best.safetensors", "lock"])
def test_a_link_in_the_folder_is_neither_read_nor_written_through(name, run, tmp_path):
    outside = tmp_path / "outside"
    if (run / name).exists():
        (run / name).rename(outside)
    else:
        outside.write_text("precious\n")
    before = outside.read_bytes() if outside.is_file() else None
    (run / name).symlink_to(outside)
    with pytest.raises(Damage, match=f"{name} is a link to "):
        Run.open(run)
    assert before is None or outside.read_bytes() == before


def test_a_pipe_in_place_of_a_file_is_not_waited_for(run):
    os.mkfifo(run / METRICS)
    with pytest.raises(Damage, match="is not a file"):
        Run.open(run).metrics()
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")
    with pytest.raises(KDError, match=r"run\.json"):
        Run.open(run)


def weights(run: Path, change) -> None:
    tensors = load_file(run / "best.safetensors")
    save_file(change(tensors), run / "best.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found | {"head.fc.bias": found["head.fc.bias"].long()}, "head.fc.bias int64 for float32"),
        (lambda found: found | {"head.fc.bias": found["head.fc.bias"][:1]}, "of another shape"),
        (lambda found: found | {"extra": torch.ones(1)}, "unexpected"),
        (lambda found: {"a": torch.ones(1)}, "missing"),
        (lambda found: found | {"head.fc.bias": found["head.fc.bias"] * float("nan")}, "NaN or infinite: head.fc.bias"),
    ],
)
def test_weights_that_are_not_the_students_are_told(change, message, run):
    weights(run, change)
    with pytest.raises((Damage, Mismatch), match=message):
        Run.open(run).network()


@pytest.mark.parametrize("name", ["head.fc.weight", "stages.1.blocks.0.attn.attention_biases"])
def test_a_training_begins_with_no_weights_of_whole_numbers(name, run):
    """Not even with those that would be interpolated, or picked from, on the way."""
    from students.families.registry import build_student, load_weights, student_spec

    weights(run, lambda found: found | {name: found[name].mul(100).long()})
    spec = student_spec("tinyvit-5m", classes=("a", "b", "c", "d"), size=96)
    with pytest.raises(Mismatch, match=rf"weights that are not floating-point numbers: {name} \(int64\)"):
        load_weights(build_student(spec), spec, run / "best.safetensors", head="keep")


@pytest.fixture
def kept(tmp_path) -> tuple[Path, Parts]:
    """A checkpoint of a small network after a step."""
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    parts = Parts(network, None, (optimiser,), torch.nn.ModuleDict())
    save_checkpoint(tmp_path, State(step=1), parts)
    return tmp_path / "checkpoints" / "00000001", parts


def test_a_whole_checkpoint_comes_back(kept):
    folder, parts = kept
    assert load_checkpoint(folder.parents[1], parts).step == 1


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("state.step", "one"),
        ("state.step", -1),
        ("state.step", 1 << 60),
        ("state.images", [1]),
        ("state.pending", [1.0]),
        ("state.scaler", {"scale": 1.0}),
        ("state.more", 1),
        ("state", []),
        ("files", []),
        ("files", {}),
        ("files", {"../../../run.json": "0"}),
        ("files", {"/dev/zero": "0"}),
        ("files", {"model.safetensors": "0", "optimiser.safetensors": "0", "/dev/zero": "0"}),
    ],
)
def test_a_state_that_no_training_kept_is_damage(keys, value, kept):
    folder, parts = kept
    changed(folder / "state.json", keys, value)
    started = time.monotonic()
    with pytest.raises(Damage, match=str(folder)):
        load_checkpoint(folder.parents[1], parts)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("model", lambda found: found | {"weight": torch.ones(3, 3)}),
        ("model", lambda found: found | {"weight": torch.ones(2, 3).long()}),
        ("optimiser", lambda found: found | {"weight/exp_avg": torch.ones(5)}),
        ("optimiser", lambda found: found | {"weight/exp_avg": torch.ones(2, 3).long()}),
        ("optimiser", lambda found: found | {"other/exp_avg": torch.ones(1)}),
        ("optimiser", lambda found: found | {"step": torch.ones(1)}),
        ("optimiser", lambda found: {"weight/step": torch.ones(())}),
    ],
)
def test_tensors_that_do_not_fit_are_told_though_their_digest_is_right(name, change, kept):
    from kdcache.base.digest import file_digest

    folder, parts = kept
    path = folder / f"{name}.safetensors"
    save_file(change(load_file(path)), path)
    content = json.loads((folder / "state.json").read_text())
    content["files"][path.name] = file_digest(path)
    (folder / "state.json").write_text(json.dumps(content))
    with pytest.raises((Damage, Mismatch), match=path.name):
        load_checkpoint(folder.parents[1], parts)


EVALUATION = Path(__file__).parents[1] / "golden/runs/whole/evals/classify-shapes-val.json"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("report.bins", []),
        ("report.bins.0.images", -1),
        ("report.classes.0.images", 0),
        ("report.names", []),
        ("report.confusion.0.true", 1 << 62),
        ("report.task", "other"),
        ("report.top1", "all"),
        ("weights_sha256", 5),
    ],
)
def test_an_evaluation_that_nobody_made_is_damage(keys, value, run):
    (run / "evals").mkdir()
    file = Path(shutil.copy(EVALUATION, run / "evals"))
    assert read_evaluations(Run.open(run))
    changed(file, keys, value)
    with pytest.raises(Damage, match=rf"{file.name} is not an evaluation: "):
        read_evaluations(Run.open(run))


def test_a_link_in_a_checkpoint_is_refused(kept, tmp_path):
    folder, parts = kept
    (folder / "model.safetensors").rename(tmp_path / "elsewhere")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Damage, match="is a link to"):
        load_checkpoint(folder.parents[1], parts)


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["file", "pipe"])
def test_a_file_in_place_of_a_checkpoint_to_come_is_named_before_a_step_is_taken(make, kept):
    folder, parts = kept
    there = folder.with_name("00000006")
    make(there)
    with pytest.raises(Damage, match="00000006 is not a folder, so it is no checkpoint") as refused:
        load_checkpoint(folder.parents[1], parts)
    assert refused.value.hint == f"remove it: rm {there}"
    there.unlink()
    assert load_checkpoint(folder.parents[1], parts).step == 1


def test_a_link_in_place_of_a_checkpoint_is_neither_removed_nor_written_through(kept, tmp_path):
    folder, parts = kept
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("1")
    draft = folder.with_name(".00000002.tmp-folder")
    draft.symlink_to(outside)
    save_checkpoint(folder.parents[1], State(step=2), parts)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    (folder.parent / "00000000").symlink_to(outside)
    with pytest.raises(Damage, match="00000000 is a link to"):
        save_checkpoint(folder.parents[1], State(step=3), parts)
    assert (outside / "precious").read_text() == "1"
