"""What a student on a frozen encoder is made of, and how far it is from its targets."""

import pytest
import torch
from torch.nn import functional

from kdcache.networks.data2vec import targets
from kdcache.networks.data2vec_shape import Data2VecShape
from students.families.data2vec.network import Distilled, distance_bias, slopes
from students.families.data2vec.spec import Blocks
from students.families.registry import student_spec
from students.objectives.match import Match

SHAPE = Data2VecShape(image=64, patch=8, dim=96, heads=3, prenet=2, depth=6, targets=6)


def test_the_published_student_has_the_papers_parameters():
    """29,537,280 trainable and 44.46 M in all, as the thesis counts them."""
    spec = student_spec("data2vec-5x768", classes=())
    with torch.device("meta"):
        network = Distilled(spec.blocks)  # type: ignore[attr-defined]
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    shared = sum(p.numel() for p in network.encoder.parameters()) + network.encoder.positions.numel()
    assert trained == 29_537_280
    assert shared == 14_919_168


def distance(layers, wanted, signal, loss):
    losses = Match(signal=signal, loss=loss).losses({"layers": layers}, {signal: wanted}, {})
    assert [(part, weight) for part, (weight, _) in losses.items()] == [(loss, 1.0)]
    return losses[loss][1]


def test_the_loss_is_the_distance_of_the_students_own_targets():
    layers = [torch.randn(2, 5, 8) for _ in range(3)]
    wanted = torch.randn(2, 5, 8)
    found = distance(layers, wanted, "targets", "mse")
    for row in range(2):
        ours = targets([layer[row : row + 1] for layer in layers], 3)[0]
        assert found[row].item() == pytest.approx(functional.mse_loss(ours, wanted[row]).item(), rel=1e-5)


def test_class_tokens_are_matched_with_the_teachers_last_layers():
    layers = [torch.randn(2, 5, 8) for _ in range(3)]
    wanted = torch.randn(2, 10, 8)
    found = distance(layers, wanted, "cls-layers", "cosine")
    by_hand = [1 - functional.cosine_similarity(layers[n][:, 0], wanted[:, 7 + n], dim=1) for n in range(3)]
    torch.testing.assert_close(found, torch.stack(by_hand).mean(0))
    same = [wanted[:, 7 + n, None].expand(2, 5, 8) for n in range(3)]
    perfect = distance(same, wanted, "cls-layers", "cosine")
    torch.testing.assert_close(perfect, torch.zeros(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("signal", ["targets", "cls-layers"])
def test_the_recipe_says_how_the_distance_is_taken(signal):
    layers = [torch.randn(2, 5, 8) for _ in range(3)]
    wanted = torch.randn(2, 3 if signal == "cls-layers" else 5, 8)
    ours = torch.stack([layer[:, 0] for layer in layers], 1) if signal == "cls-layers" else targets(layers, 3)
    by_hand = {
        "mse": (ours - wanted).square().mean((1, 2)),
        "cosine": 1 - functional.cosine_similarity(ours, wanted, dim=2).mean(1),
    }
    for loss, expected in by_hand.items():
        torch.testing.assert_close(distance(layers, wanted, signal, loss), expected)


def test_random_blocks_begin_as_small_as_those_of_bert():
    blocks = Distilled(Blocks(depth=2, heads=3, hidden=96, encoder=SHAPE)).blocks
    linear = [module for module in blocks.modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == 8
    for module in linear:
        assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not module.bias.any()


def test_distance_is_minded_as_alibi_says():
    assert slopes(8).tolist() == [2.0**-n for n in range(1, 9)]
    assert slopes(12).tolist()[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])
    bias = distance_bias(3, 8)
    assert bias.shape == (8, 10, 10)
    assert not bias[:, 0].any()
    assert not bias[:, :, 0].any()
    assert bias[0, 1, 9].item() == -0.5 * 4, "from corner to corner of a grid of three"
    blocks = Blocks(depth=1, heads=3, hidden=96, alibi=True, encoder=SHAPE)
    with_bias, without = Distilled(blocks), Distilled(blocks.model_copy(update={"alibi": False}))
    without.load_state_dict(with_bias.state_dict())
    tokens = torch.randn(1, 65, 96)
    assert not torch.allclose(with_bias(tokens).final, without(tokens).final)


def test_what_it_embeds_is_the_mean_of_all_its_final_tokens():
    network = Distilled(Blocks(depth=2, heads=3, hidden=96, encoder=SHAPE)).eval()
    pixels = torch.randn(2, 3, 64, 64)
    final = network(pixels).final
    assert final.shape == (2, 65, 96)
    torch.testing.assert_close(network.embed(pixels), final.sum(1) / 65)
