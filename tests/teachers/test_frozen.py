"""What every teacher promises, whatever its family."""

from pathlib import Path
from typing import Any

import pytest
import torch

from kdcache.errors import UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.frozen import FrozenTeacher, from_map
from kdcache.teachers.registry import open_teacher

SIGNALS = ["logits", "embedding", "features"]


def open_resnet(**options: Any) -> FrozenTeacher:
    teacher = open_teacher("timm:resnet18", **{"signals": SIGNALS, "weights": "random", "input_size": 64, **options})
    assert isinstance(teacher, FrozenTeacher)
    return teacher


@pytest.fixture(scope="module")
def resnet() -> FrozenTeacher:
    return open_resnet()


def network_of(teacher: FrozenTeacher) -> Any:
    return teacher._tower.network


def test_nothing_has_or_gets_a_gradient(resnet: FrozenTeacher, pixels):
    assert not any(parameter.requires_grad for parameter in network_of(resnet).parameters())
    with torch.enable_grad():
        emitted = resnet.emit(Shown(pixels()))
    assert not any(values.requires_grad for values in emitted.values())


def test_what_is_said_can_be_the_target_of_a_loss(resnet: FrozenTeacher, pixels):
    target = resnet.emit(Shown(pixels()))["embedding"]
    student = torch.zeros_like(target, requires_grad=True)
    torch.nn.functional.mse_loss(student, target).backward()
    assert student.grad is not None


def test_training_mode_cannot_be_switched_on(resnet: FrozenTeacher, pixels):
    before = resnet.emit(Shown(pixels()))
    network = network_of(resnet)
    statistics = {name: values.clone() for name, values in network.state_dict().items()}
    network.train()
    network.layer1.train()
    network.bn1.train(True)
    assert not any(module.training for module in network.modules())
    after = resnet.emit(Shown(pixels()))
    assert all(torch.equal(before[name], after[name]) for name in SIGNALS)
    assert all(torch.equal(values, statistics[name]) for name, values in network.state_dict().items())


@pytest.mark.parametrize("model", ["resnet18", "test_vit", "test_convnext", "test_efficientnet"])
def test_a_row_does_not_depend_on_its_neighbours_or_its_place(model: str, pixels):
    teacher = open_teacher(f"timm:{model}", weights="random", input_size=64, signals=SIGNALS)
    views = pixels(8)
    emitted = teacher.emit(Shown(views))
    others = pixels(8, seed=9)
    others[5] = views[2]
    again = teacher.emit(Shown(others))
    for name in SIGNALS:
        assert torch.equal(again[name][5], emitted[name][2]), name


def test_pixels_are_normalised_as_the_spec_says(pixels, normal):
    teacher = open_resnet(signals=["conv1"])
    preprocess = teacher.spec.preprocess
    views = pixels()
    expected = torch.nn.functional.conv2d(
        normal(views, preprocess.mean, preprocess.std), network_of(teacher).conv1.weight, stride=2, padding=3
    )
    torch.testing.assert_close(teacher.emit(Shown(views))["conv1"], expected)


@pytest.mark.parametrize(("name", "mean"), [("half", 0.5), ("imagenet", 0.485)])
def test_another_normalisation_is_recorded_and_used(name: str, mean: float, resnet: FrozenTeacher, pixels):
    teacher = open_resnet(normalise=name, signals=["embedding"])
    assert teacher.spec.preprocess.mean[0] == mean
    same = torch.equal(teacher.emit(Shown(pixels()))["embedding"], resnet.emit(Shown(pixels()))["embedding"])
    assert same == (teacher.spec.preprocess == resnet.spec.preprocess)


def test_the_spec_tells_every_shape(resnet: FrozenTeacher, pixels):
    emitted = resnet.emit(Shown(pixels(3)))
    assert [signal.name for signal in resnet.spec.signals] == list(emitted) == SIGNALS
    for signal in resnet.spec.signals:
        assert emitted[signal.name].shape == (3, *signal.shape)
        assert emitted[signal.name].dtype == torch.float32
        assert emitted[signal.name].is_contiguous()
    assert resnet.spec.signal("features").grid == (2, 2)
    assert set(resnet.spec.taps) == set(SIGNALS)


def test_what_a_student_sets_for_speed_leaves_a_teacher_exact(resnet: FrozenTeacher, pixels):
    seen = []
    network_of(resnet).fc.register_forward_hook(lambda *_: seen.append(torch.get_float32_matmul_precision()))
    torch.set_float32_matmul_precision("medium")
    try:
        resnet.emit(Shown(pixels(1)))
        assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "medium")
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_map_becomes_tokens_rows_first():
    feature_map = torch.arange(12).view(1, 2, 2, 3)
    values = from_map(feature_map)
    assert values.grid == (2, 3)
    assert torch.equal(values.values[0, 3], feature_map[0, :, 1, 0])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_autocast_is_recorded_used_and_gives_float32(precision: str, resnet: FrozenTeacher, pixels):
    half = open_resnet(precision=precision)
    assert half.spec.precision == precision
    exact, rough = resnet.emit(Shown(pixels()))["logits"], half.emit(Shown(pixels()))["logits"]
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(exact, rough, rtol=0.05, atol=0.05 * float(exact.abs().max()))


@pytest.mark.parametrize("views", [torch.zeros(1, 32, 64, 3, dtype=torch.uint8), torch.zeros(1, 64, 64, 3)])
def test_views_of_another_shape_or_type_are_refused(views: torch.Tensor, resnet: FrozenTeacher):
    with pytest.raises(UsageError, match="input 64x64"):
        resnet.emit(Shown(views))


def test_class_names_must_fit_the_logits(resnet: FrozenTeacher, save, tmp_path: Path):
    assert resnet.spec.classes is None
    path = save(network_of(resnet).state_dict(), tmp_path / "r.safetensors")
    names = [f"class {number}" for number in range(1000)]
    assert open_resnet(weights=str(path), classes=names).spec.classes == tuple(names)
    with pytest.raises(UsageError, match="2 class names for the 1000 logits"):
        open_resnet(weights=str(path), classes=["cat", "dog"])


def test_names_on_offer_are_not_put_on_logits_that_are_not_theirs(save, resnet: FrozenTeacher, tmp_path: Path):
    """The classes of the images are a guess, not a claim: a teacher with logits of its own keeps them as they are."""
    path = save(network_of(resnet).state_dict(), tmp_path / "r.safetensors")
    spec = open_resnet(weights=str(path), offered=["cat", "dog"]).spec
    assert (spec.classes, spec.signal("logits").shape) == (None, (1000,))
    spec = open_resnet(weights=str(path), offered=[str(number) for number in range(1000)]).spec
    assert spec.classes is None


def test_random_weights_take_as_many_classes_as_there_are_names():
    two = open_resnet(classes=["cat", "dog"], signals=["logits"]).spec
    assert two.signals[0].shape == (2,)
    plain = open_resnet(signals=["embedding"]).spec
    named = open_resnet(classes=["cat", "dog"], signals=["embedding"]).spec
    assert named.weights == plain.weights != two.weights
