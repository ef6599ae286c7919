"""TinyViT is a family of networks: a width that nobody published is a preset file, and the published ones are as they were."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdcache.errors import UsageError
from students.families.cost import student_cost
from students.families.registry import build_student, parse_student, student_spec
from students.families.tinyvit.spec import PUBLISHED, TinyViTSpec
from tests.students.conftest import learn
from tests.students.trained import NAMES

FOURTH = """# A width nobody published.
family: tinyvit
widths: [16, 32, 48, 80]
depths: [1, 2, 3, 1]
heads: [1, 2, 3, 5]
mlp_ratio: 3.0
expand_ratio: 2.0
kernel: 5
input: 64
drop_path: 0.1
mean: [0.485, 0.456, 0.406]
std: [0.229, 0.224, 0.225]
geometry: {fit: crop, crop_pct: 0.875, interpolation: bicubic}
enlarged: {fit: squash, interpolation: bicubic}
"""


@pytest.fixture
def preset(tmp_path):
    file = tmp_path / "tinyvit-fourth.yaml"
    file.write_text(FOURTH)
    return str(file)


def test_a_fourth_width_trains_is_judged_and_opens_in_timm(preset, cache, tmp_path):
    import timm

    from kdcache.base.progress import Silent
    from students.export.exported import exporter
    from students.judging.evaluate import JudgeOptions, judge_run

    run, _ = learn(tmp_path / "run", cache, student=preset, steps=2, size=64)
    spec = run.record.student
    assert (spec.widths, spec.depths, spec.windows) == ((16, 32, 48, 80), (1, 2, 3, 1), (2, 2, 4, 2))
    report, _ = judge_run(run, JudgeOptions(data="shapes:split=val,count=20,size=32", device="cpu"), Silent())
    assert report.images == 20
    exporter(run, "timm")(run, tmp_path / "out")
    opened = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(opened(pixels), run.network()(pixels))
    assert opened.stages[3].blocks[0].attn.num_heads == 5
    assert opened.stages[1].blocks[0].mlp.fc1.out_features == 3 * 32


@pytest.mark.parametrize("network", list(PUBLISHED))
def test_published_sizes_begin_with_the_very_weights_timm_gives_them(network):
    import timm

    name = f"tinyvit-{network.split('_')[2]}"
    spec = student_spec(name, classes=NAMES, size=64)
    states = []
    for build in (
        lambda: build_student(spec),
        lambda: timm.create_model(
            network,
            num_classes=4,
            window_sizes=[2, 2, 4, 2],
            drop_path_rate=spec.drop_path,  # type: ignore[attr-defined]
            pretrained=False,  # type: ignore[attr-defined]
        ),
    ):
        torch.manual_seed(3)
        states.append(build().state_dict())
    ours, theirs = states
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("network", list(PUBLISHED))
def test_a_run_of_the_first_release_names_the_same_network(network):
    name = f"tinyvit-{network.split('_')[2]}"
    now = student_spec(name, classes=NAMES, size=64)
    dropped = ("widths", "depths", "heads", "mlp_ratio", "expand_ratio", "kernel")
    plain = {key: value for key, value in now.plain().items() if key not in dropped}
    first = {**plain, "network": network, "blocks": None}
    then = parse_student(first)
    assert then.counted() == now.counted(), "caches of the run stay its own"
    assert then.plain().items() >= first.items(), "what it says is not lost"
    assert student_cost(then) == student_cost(now)
    torch.manual_seed(0)
    old = build_student(then).state_dict()
    torch.manual_seed(0)
    assert all(torch.equal(tensor, old[key]) for key, tensor in build_student(now).state_dict().items())


def test_other_numbers_are_another_network_to_a_cache(preset):
    spec = student_spec(preset, classes=NAMES)
    assert spec.counted() != spec.model_copy(update={"widths": (16, 32, 48, 160)}).counted()
    assert spec.counted() != spec.model_copy(update={"kernel": 3}).counted()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths: [16, 32, 48, 80]": "widths: [16, 32, 48]"}, "widths"),
        ({"heads: [1, 2, 3, 5]": "heads: [1, 3, 3, 5]"}, "32 channels cannot be divided among 3 heads"),
        ({"heads: [1, 2, 3, 5]": "heads: [1, 0, 3, 5]"}, "heads"),
        ({"kernel: 5": "kernel: 4"}, "kernel is 4: it must be odd"),
        ({"widths: [16, 32, 48, 80]": "widths: [60000, 60000, 60000, 60000]"}, "weights"),
        ({"depths: [1, 2, 3, 1]": "network: tiny_vit_5m_224"}, "give either the dimensions of a TinyViT or"),
        ({"widths: [16, 32, 48, 80]\n": ""}, "needs widths, depths and heads"),
        ({"family: tinyvit": "family: tinivit"}, "unknown student family 'tinivit'; there are data2vec, tinyvit"),
    ],
)
def test_numbers_that_do_not_make_a_network_are_refused(changed, message, tmp_path):
    text = FOURTH
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        student_spec(str(tmp_path / "p.yaml"), classes=NAMES)
    assert refused.value.hint


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    heads=st.tuples(*[st.integers(1, 3)] * 4),
    channels=st.sampled_from([4, 8]),
    depths=st.tuples(*[st.integers(1, 2)] * 4),
    windows=st.tuples(*[st.integers(1, 5)] * 4),
    ratios=st.tuples(st.sampled_from([1.0, 2.5, 4.0]), st.sampled_from([1.0, 4.0])),
    kernel=st.sampled_from([1, 3, 5]),
)
def test_any_numbers_that_are_accepted_make_a_network_that_sees(heads, channels, depths, windows, ratios, kernel):
    spec = TinyViTSpec.from_plain(
        {
            **student_spec("tinyvit-5m", classes=NAMES, size=32).plain(),
            "widths": [channels * count for count in heads],
            "heads": list(heads),
            "depths": list(depths),
            "windows": list(windows),
            "mlp_ratio": ratios[0],
            "expand_ratio": ratios[1],
            "kernel": kernel,
        }
    )
    with torch.no_grad():
        assert build_student(spec).eval()(torch.zeros(1, 3, 32, 32)).isfinite().all()
