"""A training that was stopped, however it was stopped, goes on as if it had not been."""

import functools
import json
import signal
import subprocess
import sys
import time

import pytest

from kdcache.base.progress import Silent
from kdcache.errors import KDError, Mismatch, StorageError, Unavailable
from tests.students.conftest import learn, losses_of, same


def test_stopped_and_resumed_is_as_if_it_had_not_been_stopped(cache, tmp_path):
    """Stopped within the second epoch; the average, the moments and the order of images all come back."""
    settings = ("average=0.9", "drop_path=0.2")
    whole, _ = learn(tmp_path / "whole", cache, steps=14, settings=settings)
    _, stopped = learn(tmp_path / "halves", cache, steps=14, settings=settings, where={"stop_at": 11})
    assert stopped.ended == "steps"
    halves, outcome = learn(tmp_path / "halves", resume=True, where={"workers": 2})
    assert outcome.ended == "done"
    assert losses_of(halves) == losses_of(whole)
    assert same(halves, whole)


def test_a_damaged_checkpoint_is_named(cache, tmp_path):
    run, _ = learn(tmp_path / "run", cache, steps=9, where={"stop_at": 2})
    file = run.path / "checkpoints" / "00000002" / "optimiser.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(KDError, match=r"optimiser\.safetensors is damaged"):
        learn(run.path, resume=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)], ids=["Ctrl-C", "hang-up"])
def test_a_signal_keeps_the_step_in_hand(cache, tmp_path, number, code):
    asked = ["--cache", str(cache), "--steps", "5000", "--batch", "8", "--size", "32", "--val", "none"]
    asked += ["--workers", "0", "--device", "cpu", "--log-every", "1", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "tests.students.as_command", "train", *asked]
    hear = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests ignore hang-ups
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear) as process:
        metrics = tmp_path / "run" / "metrics.jsonl"
        deadline = time.monotonic() + 120
        while not (metrics.is_file() and metrics.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(number)
        if number == signal.SIGHUP:
            process.send_signal(number)  # a terminal that closes sends several, and they are one wish
        _, printed = process.communicate(timeout=120)
    assert process.returncode == code, printed
    assert printed.count(f"kd train --resume {tmp_path / 'run'}") == 1
    assert "saved step" in printed
    newest = max((tmp_path / "run" / "checkpoints").glob("*/state.json"))
    state = json.loads(newest.read_text())["state"]
    assert state["step"] >= 1


@pytest.mark.parametrize("stream", ["off", "on"])
def test_a_finished_run_is_left_as_it_is(cache, tmp_path, stream):
    run, _ = learn(tmp_path / "run", cache, steps=3, stream=stream)
    before = {
        path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "metrics.jsonl"
    }
    _, outcome = learn(run.path, resume=True)
    assert outcome.ended == "done"
    assert outcome.state.step == 3
    assert {path: path.read_bytes() for path in before} == before
    assert losses_of(run) == losses_of(type(run).open(run.path))


@pytest.mark.slow
def test_float16_goes_on_with_its_loss_scale(cache, tmp_path):
    """And what overflows at first is no number in the metrics."""
    settings = ("precision=float16",)
    whole, _ = learn(tmp_path / "whole", cache, steps=8, settings=settings)
    learn(tmp_path / "halves", cache, steps=8, settings=settings, where={"stop_at": 5})
    halves, _ = learn(tmp_path / "halves", resume=True)
    assert losses_of(halves) == losses_of(whole)
    assert same(halves, whole)
    assert "NaN" not in (whole.path / "metrics.jsonl").read_text()


def test_lines_over_several_steps_come_back_whole(cache, tmp_path):
    whole, _ = learn(tmp_path / "whole", cache, steps=6, log_every=4)
    learn(tmp_path / "halves", cache, steps=6, log_every=4, where={"stop_at": 2})
    halves, _ = learn(tmp_path / "halves", resume=True)
    assert losses_of(halves) == losses_of(whole)


def test_one_process_at_a_time_trains_a_run(cache, tmp_path):
    """And what a killed one left half-written goes away with the next."""
    from kdcache.errors import Locked

    run, _ = learn(tmp_path / "run", cache, steps=4, where={"stop_at": 1})
    drafts = run.path / "checkpoints" / ".00000002.tmp-1-abc", run.path / ".best.safetensors.tmp-1-abc"
    drafts[0].mkdir()
    (drafts[0] / "model.safetensors").write_bytes(b"half")
    drafts[1].write_bytes(b"half")
    with run.locked(), pytest.raises(Locked, match="trained by another process"):
        learn(run.path, resume=True)
    _, outcome = learn(run.path, resume=True)
    assert outcome.ended == "done"
    assert not [draft for draft in drafts if draft.exists()]


def test_a_run_goes_on_where_its_validation_images_were_moved(cache, tmp_path):
    from PIL import Image

    from kdcache.images.shapes import CLASSES

    for number, name in enumerate(CLASSES):
        (tmp_path / "val" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (number, 90, 200)).save(tmp_path / "val" / name / "0.png")
    run, _ = learn(tmp_path / "run", cache, steps=3, val=str(tmp_path / "val"), where={"stop_at": 1})
    (tmp_path / "val").rename(tmp_path / "moved")
    with pytest.raises(Unavailable) as error:
        learn(run.path, resume=True)
    assert error.value.hint == "pass the images' new location: --val DIR"
    with pytest.raises(Mismatch, match="are other images"):
        learn(run.path, resume=True, where={"val": ("shapes:split=val,count=20",)})
    _, outcome = learn(run.path, resume=True, where={"val": (str(tmp_path / "moved"),)})
    assert [line["images"] for line in outcome.validation] == [100]


def test_a_full_disk_tells_how_to_go_on(cache, tmp_path, monkeypatch):
    from students.train import log

    run, _ = learn(tmp_path / "run", cache, steps=4, where={"stop_at": 2})

    def full(*args):
        raise StorageError("cannot write metrics.jsonl: No space left on device", path="metrics.jsonl")

    monkeypatch.setattr(log.Log, "append", full)
    with pytest.raises(StorageError) as error:
        learn(run.path, resume=True)
    assert error.value.hint == f"when metrics.jsonl can be written again: {run.way_on}"


def test_resuming_says_whether_there_is_anything_left_to_do(tmp_path, cache):
    from students.options import MachineOptions
    from students.train.start import go_on

    class Told(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    notes: list[str] = []
    run, _ = learn(tmp_path / "run", cache, steps=3, where={"stop_at": 2})
    for _ in range(2):
        go_on(run.path, MachineOptions(device="cpu", workers=0), Told())
    assert [note for note in notes if "of 3" in note] == [
        "resuming from step 2 of 3", "finished already, at step 3 of 3",
    ]  # fmt: skip


def test_a_training_that_is_where_it_should_stop_takes_no_step(tmp_path, cache):
    run, _ = learn(tmp_path / "run", cache, steps=9, where={"stop_at": 2})
    lines = run.metrics()
    _, again = learn(tmp_path / "run", resume=True, where={"stop_at": 2})
    assert (again.ended, again.state.step) == ("steps", 2)
    assert run.metrics() == lines
    _, less = learn(tmp_path / "run", resume=True, where={"stop_at": 1})
    assert less.state.step == 2
