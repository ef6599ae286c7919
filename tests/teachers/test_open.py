"""Opening a teacher: names, sizes, signals, and what is said when something is wrong."""

import subprocess
import sys
from typing import Any

import pytest

from kdcache.errors import Unavailable, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.registry import open_teacher, sizes_of, teacher_names


def test_importing_the_package_loads_no_torch():
    code = "import sys, kdcache.teachers; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_families_are_listed_as_users_write_them():
    assert teacher_names() == ["clip", "data2vec", "donut", "florence", "hf:NAME", "run:NAME", "timm:NAME"]
    assert sizes_of("clip")[0] == "l14"
    assert "nano" in sizes_of("florence")
    assert "nano" not in sizes_of("donut")
    assert sizes_of("timm") == []


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("florenz", "unknown teacher 'florenz'", "did you mean florence?"),
        ("resnet18", "unknown teacher 'resnet18'", None),
        ("timm", "timm:NAME", None),
        ("clip:l14", "clip", None),
        ("timm:resnt18", "timm has no model 'resnt18'", "resnet18"),
        ("timm:resnet18.nope", "has no weights 'nope'", "resnet18.a1_in1k"),
    ],
)
def test_unknown_names_are_told_with_the_nearest(name: str, message: str, hint: str | None):
    with pytest.raises(UsageError, match=message) as caught:
        open_teacher(name, signals=["embedding"], weights="random")
    assert hint is None or hint in str(caught.value.hint)


def test_an_unknown_size_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"has no size 'l15'; it has .*l14.*, nano$") as caught:
        open_teacher("clip", size="l15", signals=["embedding"])
    assert caught.value.hint == "did you mean l14?"
    with pytest.raises(UsageError, match="florence has no size 'nanoo'; it has base, huge, nano") as caught:
        open_teacher("florence", size="nanoo")
    assert caught.value.hint == "did you mean nano?"


@pytest.mark.parametrize("name", ["florence", "donut"])
def test_logits_without_a_head_name_the_way_out_before_anything_is_fetched(name: str):
    with pytest.raises(UsageError, match="cannot emit 'logits'; it can emit features, embedding") as caught:
        open_teacher(name)
    assert "kd teacher fit-head" in str(caught.value.hint)


@pytest.mark.parametrize(
    "wrong",
    [
        {"signals": []},
        {"signals": ["embedding", "embedding"]},
        {"precision": "float8"},
        {"normalise": "imagnet"},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]):
    with pytest.raises(UsageError):
        open_teacher("timm:resnet18", **{"weights": "random", "signals": ["embedding"], **wrong})


def test_an_unreachable_hub_is_told_with_two_ways_out(monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_args: object, **_options: object) -> str:
        raise LocalEntryNotFoundError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    for name in ("florence", "clip", "donut", "timm:resnet18", "hf:someone/model"):
        with pytest.raises(Unavailable, match="from the Hub: no route") as caught:
            open_teacher(name, signals=["embedding"])
        assert "--weights FILE" in str(caught.value.hint)
        assert "--weights random" in str(caught.value.hint)


def test_what_is_published_elsewhere_is_named():
    with pytest.raises(Unavailable) as caught:
        open_teacher("data2vec", signals=["features"])
    assert "data2vec2/base_imagenet.pt" in str(caught.value.hint)


def test_random_weights_are_stamped_and_always_the_same(pixels):
    import torch

    torch.manual_seed(5)
    first = open_teacher("timm:resnet18", weights="random", signals=["embedding"], input_size=32)
    torch.manual_seed(6)
    before = torch.get_rng_state()
    second = open_teacher("timm:resnet18", weights="random", signals=["embedding"], input_size=32)
    assert torch.equal(before, torch.get_rng_state()), "the global generator was touched"
    assert first.spec == second.spec
    assert first.spec.weights.source == "random:0"
    assert first.spec.weights.random
    views = pixels(2, (32, 32))
    assert torch.equal(first.emit(Shown(views))["embedding"], second.emit(Shown(views))["embedding"])


@pytest.mark.parametrize("name", ["florence", "clip"])
def test_nano_is_never_random(name: str):
    with pytest.raises(UsageError, match="comes with its weights"):
        open_teacher(name, size="nano", weights="random", signals=["embedding"])


def test_a_device_that_does_not_work_is_told_before_loading():
    with pytest.raises(Unavailable, match="device 'cuda:99' cannot be used"):
        open_teacher("florence", signals=["embedding"], device="cuda:99")


def test_a_mistyped_device_is_a_mistake_of_the_command_line():
    with pytest.raises(UsageError, match="no device is called 'cdua'") as caught:
        open_teacher("florence", signals=["embedding"], device="cdua")
    assert "did you mean cuda?" in caught.value.hint


def test_a_mistyped_signal_is_told_with_the_nearest():
    for size in ("base", "nano"):
        with pytest.raises(
            UsageError, match=f"florence-{size} cannot emit 'logit'; it can emit features, embedding, logits"
        ) as caught:
            open_teacher("florence", size=size, signals=["logit"])
        assert caught.value.hint == "did you mean logits?"


def test_random_logits_need_to_know_how_many_classes():
    with pytest.raises(UsageError, match="the number of classes is not known"):
        open_teacher("florence", weights="random", input_size=224)
    spec = open_teacher("data2vec", weights="random", offered=["a", "b", "c"]).spec
    assert spec.classes == ("a", "b", "c")
    assert spec.signal("logits").shape == (3,)
    assert spec.head is not None
    assert spec.head.random
