"""What a student is given: tail rules, temperatures, sparse and dense forms, numpy and torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.codecs import make_codec
from kdcache.codecs.distribution import Logits, TopK
from kdcache.errors import Damage, UsageError
from tests.codecs.truth import logits_signal, softmax

RULES = ("uniform", "bucket", "renormalise", "none")


def example(rows=8, classes=200, k=10, spread=3.0, seed=0):
    z = torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed)) * spread
    codec = make_codec(f"topk:{k}", logits_signal(classes))
    return z, codec.decode(codec.encode(z))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_each_rule_places_the_tail_where_it_says(temperature):
    z, top = example()
    head = np.take_along_axis(softmax(z, temperature), top.ids, -1)
    tail = 1 - head.sum(-1)
    uniform, bucket, renormalised, none = (top.sparse(temperature, rule) for rule in RULES)
    assert np.allclose(uniform.p, head, rtol=2e-3)
    assert np.allclose(uniform.rest, tail / 190, rtol=2e-3)
    assert np.allclose(bucket.p, head, rtol=2e-3)
    assert np.allclose(bucket.rest, tail, rtol=2e-3)
    assert np.allclose(renormalised.p, head / head.sum(-1, keepdims=True), rtol=2e-3)
    assert np.allclose(none.p, head, rtol=2e-3)
    assert np.allclose(none.p.sum(-1), 1 - tail, rtol=2e-3)
    assert not renormalised.rest.any()
    assert not none.rest.any()


@pytest.mark.parametrize("rule", RULES)
def test_dense_is_sparse_written_out(rule):
    _, top = example()
    ids, p, rest = top.sparse(2.0, rule)
    dense = top.probabilities(2.0, rule)
    assert dense.shape == (8, 201 if rule == "bucket" else 200)
    assert np.array_equal(np.take_along_axis(dense, ids, -1), p)
    others = dense[:, :200].copy()
    np.put_along_axis(others, ids, 0, -1)
    assert np.allclose(others.sum(-1), rest * 190 if rule == "uniform" else 0, rtol=1e-5)
    if rule == "bucket":
        assert np.array_equal(dense[:, 200], rest)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0, 8.0])
def test_torch_and_numpy_agree(rule, temperature):
    _, top = example()
    here, there = top.probabilities(temperature, rule), top.to("cpu").probabilities(temperature, rule)
    assert isinstance(there, torch.Tensor)
    assert there.dtype == torch.float32
    assert np.allclose(here, there.numpy(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize("temperature", [1.2, 1.5, 3.0, 6.0, 20.0])
def test_tails_between_stored_temperatures_are_interpolated_within_two_per_cent(spread, temperature):
    z, top = example(rows=32, classes=1_000, spread=spread)
    true = 1 - np.take_along_axis(softmax(z, temperature), top.ids, -1).sum(-1)
    assert np.allclose(top.sparse(temperature, "bucket").rest, true, rtol=0.02)


def test_a_temperature_next_to_a_stored_one_gives_nearly_the_same():
    _, top = example()
    for stored in (1.0, 2.0, 4.0):
        assert np.allclose(top.probabilities(stored), top.probabilities(stored + 1e-6), rtol=1e-4)


@given(st.floats(1.0, 50.0), st.floats(0.1, 40.0), st.integers(0, 1_000))
@settings(max_examples=100, deadline=None)
def test_any_temperature_gives_a_distribution(temperature, spread, seed):
    _, top = example(rows=2, classes=50, k=5, spread=spread, seed=seed)
    p = top.probabilities(temperature)
    assert np.all(p >= 0)
    assert np.allclose(p.sum(-1, dtype=np.float64), 1, atol=1e-6)
    assert np.all(np.diff(np.take_along_axis(p, top.ids, -1)) <= 1e-7)


@pytest.mark.parametrize("temperature", [0.5, 0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_below_one_is_refused(temperature):
    with pytest.raises(UsageError, match="temperature"):
        example()[1].probabilities(temperature)


def test_an_unknown_rule_is_refused_with_the_known_ones():
    unknown: Any = "uniformly"
    with pytest.raises(UsageError) as caught:
        example()[1].sparse(1.0, unknown)
    assert all(rule in str(caught.value.hint) for rule in RULES)


def test_a_tail_known_at_one_temperature_only_is_not_guessed_at_others():
    top = TopK(
        np.array([[1, 0]]), np.log(np.array([[0.5, 0.3]], np.float32)), np.log(np.array([[0.25]], np.float32)), 5
    )
    assert np.allclose(top.probabilities()[0], [0.3, 0.5, 0.2 / 3, 0.2 / 3, 0.2 / 3])
    assert np.allclose(top.probabilities(2.0, "renormalise")[0, :2].sum(), 1)
    with pytest.raises(UsageError, match="only known at temperature 1"):
        top.probabilities(2.0)


@pytest.mark.parametrize("codec", ["full", "full:float16", "topk:30"])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("where", ["numpy", "torch"])
def test_a_distribution_is_asked_the_same_way_whatever_codec_kept_it(codec, temperature, rule, where):
    z = torch.randn(8, 30, generator=torch.Generator().manual_seed(3)) * 3
    kept = make_codec(codec, logits_signal(30))
    stored = kept.decode(kept.encode(z))
    decoded = stored if where == "numpy" else kept.decode({n: torch.from_numpy(a) for n, a in kept.encode(z).items()})  # type: ignore[misc]
    p = np.asarray(decoded.probabilities(temperature=temperature, tail=rule))
    assert p.dtype == np.float32
    assert p.shape == (8, 31 if rule == "bucket" else 30)
    assert np.allclose(p[:, :30], softmax(z, temperature), rtol=5e-3, atol=1e-6)
    assert not p[:, 30:].any(), "no class is left over"
    assert np.array_equal(np.asarray(decoded[2:5].probabilities(temperature, rule)), p[2:5])
    ids, likeliest = stored.top(4)
    assert np.array_equal(ids, np.argsort(-softmax(z), axis=-1)[:, :4])
    assert np.allclose(likeliest, np.take_along_axis(softmax(z), ids, -1), rtol=5e-3)


def test_all_logits_of_rows_are_an_array_too():
    z = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(np.asarray(Logits(z)), z)
    assert (len(Logits(z)), Logits(z).classes) == (2, 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused_for_all_logits(temperature):
    with pytest.raises(UsageError, match="is not a positive number"):
        Logits(np.zeros((1, 3), np.float32)).probabilities(temperature)


@pytest.mark.parametrize("codec", ["topk:3", "tinyvit:3"])
@pytest.mark.parametrize("number", [7, 300, 0xFFFF])
def test_records_that_name_a_class_that_is_none_are_damage(codec, number):
    kept = make_codec(codec, logits_signal(7))
    (field,) = kept.fields()
    words = np.zeros((2, *field.shape), "<u2")
    kept.decode({"logits": words})
    words[1, 2] = number
    with pytest.raises(Damage, match=f"{codec} records name class .* of only 7"):
        kept.decode({"logits": words})
