"""What a training promises: the same steps off-stream and on-stream, with any number of workers and processes."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from kdcache.cache import Cache
from kdcache.errors import UsageError
from tests.students.conftest import LISTENED, build_cache, learn, losses_of, same, trained_by, weights_of


def test_off_stream_and_on_stream_take_the_same_steps_to_the_last_bit(cache, tmp_path):
    off, _ = learn(tmp_path / "off", cache, steps=10)
    on, _ = learn(tmp_path / "on", cache, steps=10, stream="on")
    assert losses_of(off) == losses_of(on)
    assert len(set(losses_of(off))) == 10
    assert same(off, on)


def test_a_teacher_at_another_resolution_is_shown_its_own_views(cache, tmp_path):
    off, _ = learn(tmp_path / "off", cache, steps=3, size=64)
    on, _ = learn(tmp_path / "on", cache, steps=3, size=64, stream="on")
    small, _ = learn(tmp_path / "small", cache, steps=3, size=32)
    assert losses_of(off) == losses_of(on) != losses_of(small)


def test_workers_change_nothing(cache, tmp_path):
    none, _ = learn(tmp_path / "none", cache, steps=3)
    two, _ = learn(tmp_path / "two", cache, steps=3, where={"workers": 2})
    assert losses_of(none) == losses_of(two)
    assert same(none, two)


def test_a_step_in_pieces_is_the_same_step_up_to_rounding(cache, tmp_path):
    """Norms see a piece at a time, so they are frozen here."""
    whole, _ = learn(tmp_path / "whole", cache, steps=3, settings=("frozen_norms=true",))
    pieces, _ = learn(tmp_path / "pieces", cache, steps=3, settings=("frozen_norms=true",), micro=3)
    assert losses_of(whole) == pytest.approx(losses_of(pieces), rel=1e-4)
    assert not np.array_equal(losses_of(whole), losses_of(pieces))


def test_each_view_comes_once_before_any_comes_twice(cache, tmp_path):
    from kdcache.stream import Share
    from students.train.targets import CachedTargets

    targets = CachedTargets(
        Cache.open(cache), views=None, seed=0, share=Share(64, 8, drop_last=True), signals=(), device="cpu"
    )
    assert [targets.epoch(number, 0).view for number in range(4)] == [0, 1, 0, 1]


def test_no_teacher_is_in_an_off_stream_process(cache, tmp_path):
    code = (
        "import sys\nfrom cli.app import run\n"
        f"code = run(['train', '--cache', {str(cache)!r}, '--steps', '2', '--batch', '8', '--size', '32', '--val', 'none',\n"
        f"            '--workers', '0', '--device', 'cpu', '--out', {str(tmp_path / 'run')!r}])\n"
        "assert code == 0, code\n"
        "assert not [name for name in sys.modules if name.startswith('kdcache.teachers')], 'a teacher was imported'\n"
        "assert 'students.train.loop' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("norms", ["false", "true"])
def test_two_processes_take_the_steps_of_one(cache, tmp_path, norms):
    """The same images in every step; weights within what another order of adding makes of them."""
    asked = ["--cache", str(cache), "--steps", "4", "--batch", "8", "--size", "32"]
    asked += ["--set", f"frozen_norms={norms}", "--set", "optimiser.eps=0.001"]
    one, two = (trained_by(count, tmp_path / f"of-{count}", *asked) for count in (1, 2))
    assert losses_of(one) == pytest.approx(losses_of(two), rel=2e-4)
    for name, values in weights_of(one).items():
        torch.testing.assert_close(values.float(), weights_of(two)[name].float(), rtol=2e-2, atol=2e-4, msg=name)


def test_a_gradient_is_cut_to_the_length_the_recipe_says(cache, tmp_path):
    """Far below AdamW's eps, it moves the weights by almost nothing."""
    fixed = ("optimiser.eps=0.001", "optimiser.decay=0")
    arms = {"begun": ("optimiser.rate=1e-30",), "loose": (), "tight": ("optimiser.clip=1e-9",)}
    found = {
        name: weights_of(learn(tmp_path / name, cache, steps=1, settings=(*fixed, *asked))[0])
        for name, asked in arms.items()
    }

    def moved(name: str) -> float:
        return max(
            (found[name][key] - begun).abs().max().item() for key, begun in found["begun"].items() if trained(key)
        )

    def trained(key: str) -> bool:
        return "running" not in key and "num_batches" not in key

    assert 0 < moved("tight") < 0.001 * moved("loose")


def test_the_rate_warms_up_over_the_share_the_recipe_says(cache, tmp_path):
    settings = ("optimiser.warmup_share=0.5", "optimiser.rate=0.001", "optimiser.first_rate=0.0002")
    run, _ = learn(tmp_path / "run", cache, steps=4, settings=settings)
    rates = [line["rate"] for line in run.metrics() if line["kind"] == "train"]
    assert [rate / rates[2] for rate in rates[:3]] == pytest.approx([0.2, 0.6, 1.0])
    assert rates[3] < rates[2]


def test_true_classes_alone_need_no_cache(tmp_path):
    run, outcome = learn(tmp_path / "run", stream="none", steps=4, where={"data": LISTENED}, seed=3)
    assert outcome.ended == "done"
    assert run.record.cache is None
    assert [list(line["losses"]) for line in run.metrics() if line["kind"] == "train"] == [["labels.hard"]] * 4


def test_fine_tuning_begins_with_the_weights_of_a_run(cache, tmp_path):
    first, _ = learn(tmp_path / "first", cache, steps=2)
    asked = {"stream": "none", "start": str(first.path), "where": {"data": LISTENED}}
    run, _ = learn(
        tmp_path / "tuned", steps=1, size=64, settings=("optimiser.rate=1e-12", "frozen_norms=true"), **asked
    )
    assert run.record.kind == "finetune"
    before, after = weights_of(first), weights_of(run)
    name = "stages.1.blocks.0.mlp.fc1.weight"
    torch.testing.assert_close(before[name], after[name], atol=1e-6, rtol=1e-3)
    biases = "stages.1.blocks.0.attn.attention_biases"
    assert before[biases].shape[1] < after[biases].shape[1], "the windows grew, and the biases with them"


def test_validation_keeps_the_best_and_patience_ends_the_training(cache, tmp_path):
    settings = ("patience=2", "optimiser.rate=1e-12")
    run, outcome = learn(
        tmp_path / "run", cache, steps=20, validate_every=1, val="shapes:split=val,count=20,size=32", settings=settings
    )
    assert outcome.ended == "patience"
    assert outcome.state.step == 3
    marks = [line for line in run.metrics() if line["kind"] == "val"]
    assert [mark["best"] for mark in marks] == [True, False, False]


def test_patience_without_validation_is_told(cache):
    from students.options import MachineOptions, TrainOptions
    from students.plan.plan import plan_run

    options = TrainOptions(cache=cache, size=32, batch=8, val="none", settings=("patience=2",))
    notes = [note.text for note in plan_run(options, MachineOptions(device="cpu", workers=0), 1).notes]
    assert any("will not stop early: patience 2" in note for note in notes)


def test_a_run_is_never_overwritten(cache, tmp_path):
    learn(tmp_path / "run", cache, steps=1)
    with pytest.raises(UsageError, match="holds a run already"):
        learn(tmp_path / "run", cache, steps=1)


def test_what_cannot_be_compared_is_told_before_the_first_step(cache, tmp_path):
    with pytest.raises(UsageError, match="less than one batch"):
        learn(tmp_path / "run", cache, steps=1, batch=128)
    assert not (tmp_path / "run").exists()


def test_every_row_meets_its_own_targets_and_class(tmp_path, monkeypatch):
    """Pieces that do not divide the batch, two views, stopped within an epoch: each row has what is stored for it."""
    from students.objectives.labels import Labels
    from students.train import learner

    path = build_cache(tmp_path / "cache", codec="topk:10", views=2)
    stored = Cache.open(path)
    seen = []
    learn_piece, losses = learner.Learner.learn, Labels.losses

    def watched_piece(self, piece, signals):
        seen.append([piece.rows.copy(), piece.view])
        return learn_piece(self, piece, signals)

    def watched_losses(self, output, signals, truths, module=None):
        top_k = signals["logits"]
        seen[-1] += [top_k.ids.numpy().copy(), top_k.logp.numpy().copy(), truths["class"].first.numpy().copy()]
        return losses(self, output, signals, truths, module)

    monkeypatch.setattr(learner.Learner, "learn", watched_piece)
    monkeypatch.setattr(Labels, "losses", watched_losses)
    asked = {"steps": 12, "micro": 3, "settings": ("objective.hard=1",)}
    learn(tmp_path / "run", path, where={"stop_at": 11}, **asked)
    learn(tmp_path / "run", resume=True)
    assert {view for _, view, *_ in seen} == {0, 1}
    assert len(seen) == 12 * 3
    for rows, view, ids, logp, labels in seen:
        for place, row in enumerate(rows.tolist()):
            top_k = stored.get(stored.ids[row], view=view)["logits"]
            assert np.array_equal(top_k.ids[0], ids[place])
            assert np.array_equal(top_k.logp[0], logp[place])
            assert labels[place] == stored.labels[row]


def test_epochs_are_as_long_as_the_view_with_the_fewest_images(tmp_path):
    """Views that reject different rows: no step is ever empty."""
    from tests.students.test_fits import make_photos

    photos = make_photos(tmp_path / "photos", 34)
    for name in ("dog/0.bmp", "cat/1.bmp"):
        (photos / name).write_bytes(b"\0" * (photos / name).stat().st_size)
    path = build_cache(
        tmp_path / "cache",
        data=str(photos),
        size="nano",
        recipe="tinyvit-1k",
        views=4,
        overrides=("mix.probability=0.5",),
    )
    usable = [34 - len(Cache.open(path).rejected(view)) for view in range(4)]
    assert len(set(usable)) > 1
    off, _ = learn(tmp_path / "off", path, steps=4, batch=max(min(usable), 8))
    on, _ = learn(tmp_path / "on", path, steps=4, batch=max(min(usable), 8), stream="on")
    assert off.record.pacing.steps_an_epoch == 1
    assert 0.0 not in losses_of(off)
    assert losses_of(off) == losses_of(on)


def test_norms_over_several_processes_do_not_lose_small_variances(tmp_path):
    """A constant channel far from 0, in a world of one: as BatchNorm2d has it."""
    from torch import distributed

    from students.train.synced import SyncedNorm

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    try:
        for mean, spread in ((18.55, 0.0), (300.0, 0.05), (0.0, 1.0)):
            pixels = mean + spread * torch.randn(8, 4, 7, 7, generator=torch.Generator().manual_seed(0))
            mine, theirs = SyncedNorm(4).train(), torch.nn.BatchNorm2d(4).train()
            torch.testing.assert_close(mine(pixels), theirs(pixels), rtol=1e-3, atol=2e-2)
            torch.testing.assert_close(mine.running_var, theirs.running_var, rtol=1e-4, atol=1e-4)
    finally:
        distributed.destroy_process_group()


def test_float16_on_a_cpu_is_told(cache):
    from students.options import MachineOptions, TrainOptions
    from students.plan.plan import plan_run

    def notes(precision):
        options = TrainOptions(cache=cache, size=32, batch=8, val="none", settings=(f"precision={precision}",))
        return " ".join(note.text for note in plan_run(options, MachineOptions(device="cpu", workers=0), 1).notes)

    assert "float16 is slow on a CPU" in notes("float16")
    assert "slow" not in notes("bfloat16")
