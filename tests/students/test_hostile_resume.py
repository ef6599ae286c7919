"""A run.json that somebody changed: the run does not go on, and one line names the field, before anything of it is used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdcache.errors import Damage, Mismatch
from students.runs.run import Run
from tests.students.conftest import learn
from tests.students.test_several_caches import BOTH, keeping, several
from tests.students.test_several_caches_refused import ONE_VIEW

Record = dict[str, Any]
UNUSED = {"text": "0" * 32}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two caches that was stopped before its last step, and that no test may change."""
    folder = tmp_path_factory.mktemp("stopped")
    pair = [keeping(folder / signal, signal, **ONE_VIEW) for signal in ("logits", "features")]
    return learn(folder / "run", several(*pair), where={"stop_at": 1}, **{**BOTH, "steps": 2})[0].path


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def change(run: Path, how: Callable[[Record], Any]) -> None:
    record = json.loads((run / "run.json").read_text())
    how(record)
    (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("how", "place"),
    [
        (lambda record: record["caches"][0].update(path="A\0"), "caches.0.path"),
        (lambda record: record["caches"][0].update(path=""), "caches.0.path"),
        (lambda record: record.pop("caches"), "stream off reads a cache"),
        (lambda record: (record.pop("caches"), record.update(stream="on")), "stream on reads a cache"),
        (lambda record: record.update(cache=record.pop("caches")[0], stream="none"), "stream none has no cache"),
        (lambda record: record["pacing"].update(micro=10**9), "pacing.micro"),
        (lambda record: record.update(rejected=-5), "rejected"),
        (lambda record: record.update(rejected=10**9), "were rejected"),
    ],
)
def test_values_that_no_run_has(how: Callable[[Record], Any], place: str, run: Path) -> None:
    change(run, how)
    with pytest.raises(Damage, match=r"run\.json is not a run record") as refusal:
        Run.open(run)
    assert place in refusal.value.message
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(
    ("how", "field"),
    [
        (lambda record: record["caches"][0]["signals"].update(more="raw"), "signals"),
        (lambda record: record["caches"][0]["signals"].update(logits="nonsense:9"), "signals.logits"),
        (lambda record: record["caches"][1]["signals"].update(features="x" * 100_000), "signals.features"),
        (lambda record: record["caches"][0]["teacher"]["signals"][0].update(shape=[2**40]), "teacher.signals"),
        (lambda record: record["dataset"].update(index_digest="0" * 32), "dataset.index_digest"),
        (lambda record: record["views"].update(seed=9), "views.seed"),
        (lambda record: record.update(truths=UNUSED), "digest of the truth text"),
        (lambda record: record["recipe"].update(batch=1 << 20), "batch of 1,048,576"),
    ],
)
def test_what_the_caches_are_not(how: Callable[[Record], Any], field: str, run: Path) -> None:
    change(run, how)
    with pytest.raises(Mismatch) as refusal:
        learn(run, resume=True)
    assert field in refusal.value.message
    assert len(refusal.value.message) < 1000
    assert refusal.value.hint == "restore run.json from a copy"


def test_a_record_from_another_machine_goes_on(run: Path) -> None:
    """Names of images and places of weights are those of the machine a cache was built on, and not compared."""

    def moved(record: Record) -> None:
        record["dataset"]["name"] = "elsewhere"
        for cache in record["caches"]:
            cache["teacher"]["weights"]["path"] = "/elsewhere"

    change(run, moved)
    assert learn(run, resume=True)[1].state.step == 2


def test_a_micro_batch_is_no_more_than_a_batch(run: Path) -> None:
    change(run, lambda record: record["pacing"].update(micro=1 << 20))
    assert Run.open(run).record.micro == Run.open(run).record.recipe.batch
    assert learn(run, resume=True)[1].state.step == 2


def test_a_piece_of_one_image_is_refused_as_when_a_run_is_planned(run: Path) -> None:
    change(run, lambda record: record["pacing"].update(micro=1))
    with pytest.raises(Mismatch, match="leaves a piece of one image"):
        learn(run, resume=True)
