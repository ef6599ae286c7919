"""Numbers of a training reach TensorBoard and Weights & Biases."""

import pytest

from kdcache.errors import Unavailable, UsageError
from tests.students.conftest import learn

pytest.importorskip("torch")


def test_tensorboard_has_every_number_of_the_metrics(cache, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, _ = learn(tmp_path / "run", cache, steps=3, where={"trackers": ("tensorboard",)})
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    values = [event.value for event in events.Scalars("train/loss")]
    assert values == pytest.approx([line["loss"] for line in run.metrics() if line["kind"] == "train"])


def test_wandb_is_told_the_same_under_the_name_of_the_run(cache, tmp_path, monkeypatch):
    """wandb itself needs an account: a stand-in takes the calls."""
    import sys
    from types import SimpleNamespace

    logged, opened = [], []

    def init(**asked):
        opened.append(asked)
        return SimpleNamespace(
            log=lambda numbers, step: logged.append((step, numbers)), finish=lambda: logged.append("finished")
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    run, _ = learn(tmp_path / "run", cache, steps=2, where={"trackers": ("wandb",)})
    losses = [line["loss"] for line in run.metrics() if line["kind"] == "train"]
    assert [(step, numbers["train/loss"]) for step, numbers in logged[:2]] == [(1, losses[0]), (2, losses[1])]
    assert logged[-1] == "finished"
    assert opened[0]["id"] == "run"  # type: ignore[unreachable]
    assert opened[0]["config"]["student"]["name"] == "tinyvit-5m"


def test_a_tracker_nobody_knows_is_refused(cache, tmp_path):
    with pytest.raises(UsageError, match="no tracker is called mlflow"):
        learn(tmp_path / "run", cache, steps=1, where={"trackers": ("mlflow",)})
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_is_not_installed_is_told(cache, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(Unavailable, match="wandb is not installed"):
        learn(tmp_path / "run", cache, steps=1, where={"trackers": ("wandb",)})
