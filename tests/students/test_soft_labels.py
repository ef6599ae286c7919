"""The sparse loss is the dense loss, under every tail rule and temperature."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.codecs import make_codec
from kdcache.codecs.distribution import Logits
from kdcache.signals.signal import Signal
from students.base.truths import ClassTruth
from students.objectives.labels import Labels, hard_loss, soft_loss

CLASSES = 30


def teacher_and_top_k(k: int, seed: int = 0, rows: int = 5):
    """Teacher logits and what a top-k cache keeps of them."""
    logits = torch.randn(rows, CLASSES, generator=torch.Generator().manual_seed(seed)) * 3
    codec = make_codec(f"topk:{k}", Signal(name="logits", shape=(CLASSES,)))
    fields = {name: np.asarray(values) for name, values in codec.encode(logits).items()}
    return logits, codec.decode(fields).to("cpu")


def student(seed: int = 1, rows: int = 5):
    return torch.randn(rows, CLASSES, generator=torch.Generator().manual_seed(seed), requires_grad=True)


@settings(max_examples=40, deadline=None)
@given(
    k=st.integers(1, CLASSES),
    temperature=st.sampled_from([1.0, 2.0, 3.0, 4.0]),
    tail=st.sampled_from(["uniform", "renormalise", "none", "bucket"]),
    seed=st.integers(0, 1000),
)
def test_the_loss_of_top_k_is_that_of_the_distribution_it_stands_for(k, temperature, tail, seed):
    _, topk = teacher_and_top_k(k, seed)
    mine = student(seed + 1)
    got = soft_loss(mine, topk, temperature, tail)
    q = (mine / temperature).softmax(-1)
    p = topk.probabilities(temperature, tail)
    if tail == "bucket":
        listed = torch.zeros_like(q).scatter(1, topk.ids, 1.0).bool()
        other = q.masked_fill(listed, 0).sum(-1, keepdim=True)
        q = torch.cat((q, other if k < CLASSES else torch.ones_like(other)), 1)
    wanted = -(p * q.log()).sum(-1) * temperature**2
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    gradients = torch.autograd.grad(got.sum(), mine, retain_graph=True)[0], torch.autograd.grad(wanted.sum(), mine)[0]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_all_logits_give_cross_entropy_with_their_softmax():
    logits, _ = teacher_and_top_k(1)
    mine = student()
    wanted = torch.nn.functional.cross_entropy(mine, logits.softmax(-1), reduction="none")
    torch.testing.assert_close(soft_loss(mine, Logits(logits)), wanted)


def test_the_gradient_keeps_its_size_at_any_temperature():
    logits, _ = teacher_and_top_k(1)
    sizes = []
    for temperature in (4.0, 16.0, 64.0):
        mine = student()
        sizes.append(float(torch.autograd.grad(soft_loss(mine, Logits(logits), temperature).sum(), mine)[0].norm()))
    assert sizes[1] == pytest.approx(sizes[2], rel=0.2)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.3)


def test_a_mixed_image_has_both_classes_and_an_unknown_one_weighs_nothing():
    mine = student(rows=3).detach()
    truth = ClassTruth(torch.tensor([3, 4, -1]), torch.tensor([5, -1, -1]), torch.tensor([0.7, 1.0, 1.0]))
    got = hard_loss(mine, truth, 0.0)
    logq = mine.log_softmax(-1)
    assert float(got[0]) == pytest.approx(-0.7 * float(logq[0, 3]) - 0.3 * float(logq[0, 5]), rel=1e-5)
    assert float(got[1]) == pytest.approx(-float(logq[1, 4]), rel=1e-5)
    assert float(got[2]) == 0.0


def test_the_two_parts_have_their_own_weights():
    logits, _ = teacher_and_top_k(1)
    mine = student().detach()
    truth = ClassTruth(torch.zeros(5, dtype=torch.int64), torch.full((5,), -1), torch.ones(5))
    asked = {"output": {"logits": mine}, "signals": {"logits": logits}, "truths": {"class": truth}}
    losses = Labels(soft=0.5, hard=2.0).losses(**asked)
    assert {part: weight for part, (weight, _) in losses.items()} == {"soft": 0.5, "hard": 2.0}
    torch.testing.assert_close(losses["soft"][1], soft_loss(mine, Logits(logits)))
    torch.testing.assert_close(losses["hard"][1], hard_loss(mine, truth, 0.0))


def test_an_objective_that_asks_for_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing would be learnt"):
        Labels(soft=0.0, hard=0.0)
