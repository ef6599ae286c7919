"""Promises of data2vec-nano: it learned as data2vec 2.0 does, from pixels alone, and sees far more than a random encoder."""

import pytest
import torch
from torch import Tensor, nn

from kdcache.base.progress import Progress, Silent
from kdcache.base.tensors import read_metadata
from kdcache.networks.data2vec import Data2Vec, targets
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.signals.shown import Shown
from kdcache.teachers.families.data2vec import FAMILY
from kdcache.teachers.families.data2vec.checkpoint import MODALITY, fairseq_tensors
from kdcache.teachers.nano import IMAGENET_PIXELS, NANO_DATA2VEC
from kdcache.teachers.nano_training.masked import WHOLE, Masking, SelfTaught, shown_patches
from kdcache.teachers.nano_training.pictures import SPOTS, DrawnPictures, cropped, paint_all, relit
from kdcache.teachers.nano_training.probe import LOOKED_AT, Probed, probed
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.self_taught import teach_itself
from kdcache.teachers.registry import open_teacher
from tests.teachers.trainings import assert_learns_and_repeats_itself, work_of

SHAPE = Data2VecShape(image=32, patch=4, dim=16, heads=2, prenet=1, depth=2, targets=2)
LEAST = 0.09
"""top-1 of a linear probe on the mean token; chance is 0.01"""
MASKING = Masking(masks=3, shown=16, block=3)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def taught() -> SelfTaught:
    torch.manual_seed(0)
    return SelfTaught(SHAPE, MASKING)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn((2, 3, 32, 32), generator=dice(5))


def test_a_mask_shows_as_many_patches_as_it_should_in_squares():
    shown = shown_patches(500, 8, MASKING, dice())
    assert shown.shape == (500, 16)
    assert (shown.diff(dim=1) > 0).all(), "sorted, none twice"
    grid = torch.zeros(500, 64).scatter_(1, shown, 1.0).view(500, 8, 8)
    beside = (grid[:, :, 1:] * grid[:, :, :-1]).sum((1, 2)).mean()
    at_random = 56 * 16 / 64 * 15 / 63
    assert beside > 1.8 * at_random, "neighbours are shown together"
    assert (grid.mean(0) > 0.1).all(), "every place is shown now and then"
    assert not torch.equal(shown[0], shown[1])


def test_a_target_is_what_the_slow_copy_says_of_the_whole_picture(taught, pixels):
    (slow,) = taught._slow
    with torch.no_grad():
        expected = targets([layer[:, 1:] for layer in slow(pixels).layers], SHAPE.targets)
    found = taught._targets(pixels)
    assert found.shape == (2, 64, 16)
    assert nn.functional.cosine_similarity(found, expected, dim=2).min() > 0.98, "equal but for bfloat16"


def test_the_student_never_sees_a_hidden_patch(taught, pixels):
    """Pixels below hidden patches change nothing: no slope leads to them. Those below shown patches do."""
    taught.masking = Masking(masks=1, shown=16)
    shown = shown_patches(2, SHAPE.side, taught.masking, dice(3))
    taught.loss(pixels.detach().clone(), pixels.requires_grad_(), dice(3)).backward()
    slopes = nn.functional.avg_pool2d(pixels.grad.abs(), 4).sum(1).flatten(1)
    seen = torch.zeros(2, 64).scatter_(1, shown, 1.0).bool()
    assert (slopes[seen] > 0).all()
    assert (slopes[~seen] == 0).all()


def test_targets_are_of_the_picture_in_its_own_light(taught, pixels, monkeypatch):
    """Whatever is shown, what is wanted stays; and what is shown is another light's."""
    asked: list[Tensor] = []
    targets_of = taught._targets
    monkeypatch.setattr(taught, "_targets", lambda seen: asked.append(seen) or targets_of(seen))
    bright = taught.loss(pixels, 2 * pixels + 1, dice())
    assert torch.equal(asked[0], pixels)
    assert not torch.equal(bright, taught.loss(pixels, pixels, dice()))


def test_another_light_changes_brightness_tint_slope_and_haze():
    grey = torch.full((600, 3, 64, 64), 100.0)
    lit = relit(grey, dice())
    channels, edges = lit.mean((2, 3)), (lit[..., -1] - lit[..., 0]).mean((1, 2))
    assert channels.mean(1).std() > 30, "brightness"
    assert channels.std(1).mean() > 15, "tint"
    assert edges.std() > 60, "from edge to edge"
    patterned = grey.clone()
    patterned[:, :, ::2] = 180.0
    rows = relit(patterned, dice())
    assert (rows[:, :, 0] > rows[:, :, 1]).all(), "what is brighter stays brighter"
    assert relit(torch.zeros(600, 3, 64, 64), dice()).mean((1, 2, 3)).std() > 10, "haze"


def test_light_falls_in_spots(monkeypatch):
    monkeypatch.setattr("kdcache.teachers.nano_training.pictures.LIGHT", 0.0)
    monkeypatch.setattr("kdcache.teachers.nano_training.pictures.SLOPE", 0.0)
    spots = relit(torch.ones(600, 3, 64, 64), dice()).log()
    assert spots.std((2, 3)).mean() == pytest.approx(SPOTS, rel=0.25)
    beside, far = ((spots[..., by:] - spots[..., :-by]).abs().mean() for by in (1, 16))
    assert far > 6 * beside, "they are many patches wide"


def test_the_loss_is_of_the_hidden_patches_and_the_class_token(taught, pixels):
    """A decoder that knows every hidden patch and is wrong about the shown ones leaves the class token's loss alone."""

    class Knowing(nn.Module):
        def __init__(self, wanted: Tensor, wrong: float) -> None:
            super().__init__()
            self.wanted, self.wrong = wanted, wrong

        def forward(self, seen: Tensor, shown: Tensor, dice: torch.Generator) -> Tensor:
            hidden = torch.ones(shown.shape[0], 64).scatter_(1, shown, 0.0)[:, :, None]
            return self.wanted + (1 - hidden) * 100 + hidden * self.wrong

    wanted = taught._targets(pixels).repeat_interleave(3, 0)
    taught.decoder = Knowing(wanted, 0.0)
    whole = taught.loss(pixels, pixels, dice())
    assert 0 < whole < WHOLE * 3
    taught.decoder = Knowing(wanted, 2.0)
    loss = taught.loss(pixels, pixels, dice())
    torch.testing.assert_close(loss - whole, torch.tensor(4.0), rtol=1e-3, atol=1e-3)


def test_the_slow_copy_follows_and_is_not_trained(taught, pixels):
    (slow,) = taught._slow
    before = slow.blocks[0].mlp.fc1.weight.clone()
    taught.loss(pixels, pixels, dice()).backward()
    assert all(parameter.grad is None for parameter in slow.parameters())
    assert not {id(p) for p in slow.parameters()} & {id(p) for p in taught.parameters()}
    with torch.no_grad():
        taught.student.blocks[0].mlp.fc1.weight += 1
    taught.follow(0.9)
    torch.testing.assert_close(slow.blocks[0].mlp.fc1.weight, before + 0.1)


def test_a_crop_shows_a_part_of_the_picture_and_sometimes_its_mirror():
    ramp = torch.linspace(0, 255, 64).expand(400, 3, 64, 64)
    seen = cropped(ramp.to(torch.uint8), dice())
    span = seen.amax((1, 2, 3)) - seen.amin((1, 2, 3))
    assert (span > 0.5 * 255).all()
    assert (span < 0.7 * 255).any()
    assert 120 < (seen[:, 0, 32, -1] < seen[:, 0, 32, 0]).sum() < 280, "every other is a mirror"


def test_training_learns_and_repeats_itself():
    pictures = paint_all("train", count=32, workers=1)
    recipe, masking = Schedule(epochs=6, rate=2e-3, batch=8), Masking(masks=2)

    def train(seed: int, progress: Progress) -> Data2Vec:
        return teach_itself(work_of(pictures, IMAGENET_PIXELS, recipe, seed, progress), masking)

    assert_learns_and_repeats_itself(train, least=0.3)


def test_the_copy_sees_pictures_in_their_own_light_and_follows_more_slowly_in_time(monkeypatch):
    seen: list[tuple[Tensor, Tensor]] = []
    kept: list[float] = []
    loss, follow = SelfTaught.loss, SelfTaught.follow
    monkeypatch.setattr(SelfTaught, "loss", lambda self, *asked: seen.append(asked[:2]) or loss(self, *asked))
    monkeypatch.setattr(SelfTaught, "follow", lambda self, keep: kept.append(keep) or follow(self, keep))
    painted, preprocess = paint_all("train", count=16, workers=1), IMAGENET_PIXELS
    recipe = Schedule(epochs=4, rate=2e-3, batch=8)
    teach_itself(work_of(painted, preprocess, recipe, 0, Silent()), Masking(masks=1))
    brightest = (1 - torch.tensor(preprocess.mean)) / torch.tensor(preprocess.std)
    for whole, lit in seen:
        assert (whole.amax((0, 2, 3)) <= brightest + 1e-4).all()
        assert not torch.equal(whole, lit)
    assert max(lit.max().item() for _, lit in seen) > brightest.max() + 1
    slowing = [0.995 + 0.0045 * step / 4 for step in range(4)]
    assert kept == pytest.approx([*slowing, *[0.9995] * 4])


def test_what_is_written_is_read_as_a_checkpoint_of_fairseq(save, tmp_path):
    torch.manual_seed(3)
    network = Data2Vec(Data2VecShape.from_plain(NANO_DATA2VEC)).eval()
    tensors = fairseq_tensors(network)
    assert all(name.startswith((MODALITY, "blocks.")) for name in tensors)
    path = str(save(tensors, tmp_path / "made.safetensors"))
    black = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    teacher = open_teacher("data2vec", weights=path, signals=("final",))
    mean, std = (
        torch.tensor(three).view(1, 3, 1, 1) for three in (teacher.spec.preprocess.mean, teacher.spec.preprocess.std)
    )
    with torch.no_grad():
        expected = network((torch.zeros(1, 3, 64, 64) - mean) / std).final
    torch.testing.assert_close(teacher.emit(Shown(black))["final"], expected)
    assert teacher.spec.size == "nano"


def measured(weights: str | None, pictures: DrawnPictures, held_out: DrawnPictures) -> Probed:
    """What is read from the embedding that the teacher says."""
    teacher = open_teacher("data2vec", size="nano", weights=weights, signals=("embedding",))

    def embed(pixels: Tensor) -> Tensor:
        return torch.cat([teacher.emit(Shown(batch.permute(0, 2, 3, 1)))["embedding"] for batch in pixels.split(250)])

    return probed(embed, pictures, held_out)


@pytest.mark.slow
def test_it_sees_far_more_than_chance_and_than_a_random_encoder():
    pictures, held_out = paint_all("train", count=2000, workers=1), paint_all("val", count=1000, workers=1)
    learned, random = (measured(weights, pictures, held_out) for weights in (None, "random"))
    assert learned.linear > LEAST
    assert learned.linear > 2 * random.linear
    assert learned.nearest > 2 * random.nearest


@pytest.mark.slow
def test_it_sees_as_much_as_it_says():
    pictures, held_out = paint_all("train", count=LOOKED_AT, workers=1), paint_all("val", workers=1)
    says = read_metadata(FAMILY.in_package("nano").weights())
    learned, random = (measured(weights, pictures, held_out) for weights in (None, "random"))
    assert learned.linear == pytest.approx(float(says["accuracy"]), abs=0.005)
    assert learned.nearest == pytest.approx(float(says["nearest"]), abs=0.005)
    assert random.linear == pytest.approx(float(says["untrained"]), abs=0.005)
