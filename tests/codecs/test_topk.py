"""`topk:K`: what comes back is close to what was said, the same every time, and never quietly wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdcache.codecs import make_codec
from kdcache.codecs.topk import LOGP_STEP, TAIL_STEP
from kdcache.errors import Damage
from tests.codecs.truth import kl, logits_signal, softmax

ALLOWED = LOGP_STEP / 2 + 2e-5  # half a step, and what float32 adds


def round_trip(codec, z):
    return codec.decode(codec.encode(z))


@st.composite
def logits(draw, largest=1e4):
    rows, classes = draw(st.integers(0, 5)), draw(st.integers(1, 40))
    values = st.floats(-largest, largest, width=32)
    z = draw(arrays(np.float32, (rows, classes), elements=values))
    return torch.from_numpy(z), draw(st.integers(1, classes))


@given(logits())
@settings(max_examples=150, deadline=None)
def test_log_probabilities_come_back_within_half_a_step(case):
    z, k = case
    top = round_trip(make_codec(f"topk:{k}", logits_signal(z.shape[1])), z)
    true = np.take_along_axis(z.double().log_softmax(-1).numpy(), top.ids, -1)
    reachable = true >= -48
    assert np.all(np.abs(top.logp - true)[reachable] <= ALLOWED)
    assert np.all(top.logp[~reachable] == np.float32(-65535 * LOGP_STEP))


@given(logits())
@settings(max_examples=100, deadline=None)
def test_ids_are_the_largest_in_order_and_equal_ones_by_number(case):
    z, k = case
    top = round_trip(make_codec(f"topk:{k}", logits_signal(z.shape[1])), z)
    order = np.argsort(-z.numpy(), -1, kind="stable")[:, :k]
    assert np.array_equal(top.ids, order)


@given(logits())
@settings(max_examples=100, deadline=None)
def test_every_decoded_distribution_is_non_negative_and_sums_to_one(case):
    z, k = case
    top = round_trip(make_codec(f"topk:{k}", logits_signal(z.shape[1])), z)
    for temperature in (1.0, 1.7, 2.0, 4.0, 9.0):
        for tail in ("uniform", "bucket", "renormalise"):
            p = top.probabilities(temperature, tail)
            assert p.shape == (len(z), z.shape[1] + (tail == "bucket"))
            assert p.dtype == np.float32
            assert np.all(p >= 0)
            assert np.allclose(p.sum(-1, dtype=np.float64), 1, atol=1e-6)


@given(logits(largest=20.0))
@settings(max_examples=100, deadline=None)
def test_head_and_tail_at_stored_temperatures_are_the_teachers(case):
    z, k = case
    top = round_trip(make_codec(f"topk:{k}", logits_signal(z.shape[1])), z)
    for temperature in (1.0, 2.0, 4.0):
        true = softmax(z, temperature)
        head = np.take_along_axis(true, top.ids, -1)
        ids, p, rest = top.sparse(temperature, "bucket")
        assert np.array_equal(ids, top.ids)
        # A code is off by half a step at most: in the class itself, in the sum of the head, and in the odds of the tail.
        assert np.allclose(p, head, rtol=1.05 * (LOGP_STEP + TAIL_STEP / 2), atol=1e-6)
        assert np.allclose(rest, 1 - head.sum(-1), rtol=1.05 * TAIL_STEP / 2, atol=1e-6)


@pytest.mark.parametrize("classes", [65_536, 65_537, 70_000])
def test_ids_of_many_classes_survive(classes):
    z = torch.randn(3, classes, generator=torch.Generator().manual_seed(1))
    z[0, classes - 1] = z[1, 32_768] = z[2, 40_000] = 50.0
    codec = make_codec("topk:4", logits_signal(classes))
    fields = codec.encode(z)
    top = codec.decode(fields)
    assert top.ids[:, 0].tolist() == [classes - 1, 32_768, 40_000]
    assert np.array_equal(top.ids, z.topk(4).indices.numpy())
    assert fields["logits"].shape[1] == (4 if classes <= 65_536 else 8) + 4 + 3
    assert codec.fields()[0].row_bytes == fields["logits"][0].nbytes


def test_the_record_is_laid_out_as_its_attributes_say():
    z = torch.tensor([[0.0, 3.0, 1.0, -2.0]])
    codec = make_codec("topk:2", logits_signal(4))
    (field,) = codec.fields()
    words = codec.encode(z)[field.name]
    assert (field.name, field.dtype, field.shape) == ("logits", "<u2", (7,))
    assert words.dtype == np.dtype("<u2")
    p = softmax(z)[0]
    assert words[0, :2].tolist() == [1, 2]
    assert words[0, 2:4].tolist() == [round(-np.log(p[i]) * 65535 / 48) for i in (1, 2)]
    odds = [(q := softmax(z, t)[0]) is not None and np.log((q[0] + q[3]) / (q[1] + q[2])) for t in (1, 2, 4)]
    assert words[0, 4:].tolist() == [round((24 - o) * 65534 / 48) for o in odds]
    about = dict(field.attributes)
    assert about["words"] == "0..1 ids; 2..3 logp; 4..6 tails"
    assert "-48 * code / 65535" in about["logp"]
    assert "24 - 48 * code / 65534" in about["tails"]


def test_the_same_logits_give_the_same_bytes_alone_and_in_a_batch():
    z = torch.randn(16, 3_000, generator=torch.Generator().manual_seed(3)) * 4
    codec = make_codec("topk:50", logits_signal(3_000))
    whole = codec.encode(z)["logits"]
    assert np.array_equal(whole, codec.encode(z.clone())["logits"])
    assert np.array_equal(whole, np.concatenate([codec.encode(z[i : i + 1])["logits"] for i in range(16)]))


def test_equal_logits_tell_nothing_but_stay_a_distribution():
    top = round_trip(make_codec("topk:5", logits_signal(1_000)), torch.full((2, 1_000), 7.0))
    assert top.ids.tolist() == [[0, 1, 2, 3, 4]] * 2
    for temperature in (1.0, 2.0, 3.0, 4.0):
        assert np.allclose(top.probabilities(temperature), 1 / 1_000, rtol=1e-3)


def test_a_single_class_of_very_many_keeps_its_share():
    # A bare log of the tail mass would round to a tail of 1 and leave nothing for the head.
    top = round_trip(make_codec("topk:1", logits_signal(70_000)), torch.zeros(1, 70_000))
    assert top.sparse(4.0).p[0, 0] == pytest.approx(1 / 70_000, rel=1e-3)


@pytest.mark.parametrize("height", [30.0, 60.0, 1e4])
def test_a_very_sure_teacher_stays_sure_at_temperature_four(height):
    z = torch.zeros(1, 1_000)
    z[0, 17] = height
    top = round_trip(make_codec("topk:100", logits_signal(1_000)), z)
    for temperature in (1.0, 2.0, 4.0):
        assert np.abs(top.probabilities(temperature) - softmax(z, temperature)).max() < 1e-3


def test_all_classes_kept_leaves_no_tail():
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    codec = make_codec("topk:6", logits_signal(6))
    assert np.all(codec.encode(z)["logits"][:, -3:] == 65_535)
    top = round_trip(codec, z)
    for temperature in (1.0, 2.5, 4.0):
        assert np.all(top.sparse(temperature, "bucket").rest == 0)
        assert np.abs(top.probabilities(temperature) - softmax(z, temperature)).max() < 1e-3


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
def test_a_teacher_that_says_nan_or_infinity_is_named_by_row(wrong):
    z = torch.randn(9, 20)
    z[3, 4] = z[7, 0] = wrong
    with pytest.raises(Damage, match="logits of rows 3, 7") as caught:
        make_codec("topk:5", logits_signal(20)).encode(z)
    assert caught.value.details["rows"] == [3, 7]
    assert caught.value.hint


def test_no_rows_encode_and_decode():
    codec = make_codec("topk:5", logits_signal(20))
    fields = codec.encode(torch.zeros(0, 20))
    assert fields["logits"].shape == (0, 13)
    assert codec.decode(fields).probabilities().shape == (0, 20)


def test_rows_of_unreadable_images_are_zeros_and_decode_to_finite_numbers():
    codec = make_codec("topk:5", logits_signal(20))
    top = codec.decode({"logits": np.zeros((2, 13), "<u2")})
    assert np.isfinite(top.probabilities(2.0)).all()


def test_words_on_a_device_decode_to_the_same_numbers():
    for classes in (500, 70_000):
        codec = make_codec("topk:9", logits_signal(classes))
        fields = codec.encode(torch.randn(6, classes, generator=torch.Generator().manual_seed(4)))
        here, there = codec.decode(fields), codec.decode({"logits": torch.from_numpy(fields["logits"])})
        for name in ("ids", "logp", "tails"):
            assert np.array_equal(getattr(here, name), getattr(there, name).numpy())


def test_the_measured_error_is_the_error():
    z = torch.randn(8, 300, generator=torch.Generator().manual_seed(5)) * 3
    codec = make_codec("topk:20", logits_signal(300))
    error, top = codec.error(z), round_trip(codec, z)
    head = np.take_along_axis(softmax(z), top.ids, -1)
    assert error["head_mass"] == pytest.approx(head.sum(-1).mean())
    assert error["max_abs_probability"] == pytest.approx(np.abs(top.sparse(tail="none").p - head).max())
    for t in (1, 2, 4):
        assert error[f"kl_t{t}"] == pytest.approx(kl(softmax(z, t), top.probabilities(t)).mean(), abs=1e-6)
    everything = make_codec("topk:300", logits_signal(300)).error(z)
    assert everything["head_mass"] == pytest.approx(1)
    assert all(everything[f"kl_t{t}"] < 1e-6 for t in (1, 2, 4))
