"""`tinyvit:K`: their records word for word, and a distribution that is never negative."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.codecs import make_codec
from kdcache.errors import UsageError
from tests.codecs.truth import logits_signal


def records(seeds, ids, p):
    """Records as TinyViT's writer makes them, from bytes."""
    rows = zip(seeds, ids, p, strict=True)
    data = b"".join(np.int32(s).tobytes() + np.int16(i).tobytes() + np.float16(q).tobytes() for s, i, q in rows)
    return np.frombuffer(data, "<u2").reshape(len(seeds), -1)


def test_seed_ids_and_probabilities_come_back():
    words = records([7, 2**31 - 1], [[3, 1], [32_767, 0]], [[0.5, 0.25], [0.75, 0.0]])
    codec = make_codec("tinyvit:2", logits_signal(32_768))
    assert codec.seeds({"logits": words}).tolist() == [7, 2**31 - 1]  # type: ignore[attr-defined]
    top = codec.decode({"logits": words})
    assert top.ids.tolist() == [[3, 1], [32_767, 0]]
    assert np.allclose(top.sparse(tail="none").p, [[0.5, 0.25], [0.75, 0.0]], rtol=1e-6)
    assert np.allclose(top.sparse(tail="bucket").rest, [0.25, 0.25], rtol=1e-6)


@given(st.integers(0, 10_000), st.integers(2, 400), st.floats(1.0, 30.0))
@settings(max_examples=100, deadline=None)
def test_rounded_probabilities_that_sum_above_one_never_give_a_negative_tail(seed, classes, spread):
    z = torch.randn(8, classes, generator=torch.Generator().manual_seed(seed)) * spread
    k = max(1, classes // 2)
    p, ids = z.softmax(-1).topk(k)
    codec = make_codec(f"tinyvit:{k}", logits_signal(classes))
    top = codec.decode({"logits": records([0] * 8, ids.numpy(), p.numpy())})
    for tail in ("uniform", "bucket", "renormalise"):
        dense = top.probabilities(1.0, tail)
        assert np.all(dense >= 0)
        assert np.allclose(dense.sum(-1, dtype=np.float64), 1, atol=1e-6)
    assert np.all(top.sparse().rest >= 0)


def test_the_flaw_is_real_and_cured():
    p = np.float16([0.9, 0.0996, 0.0008])
    assert p.astype(np.float64).sum() > 1
    top = make_codec("tinyvit:3", logits_signal(10)).decode({"logits": records([0], [[0, 1, 2]], [p])})
    assert top.sparse().rest[0] == 0
    assert top.probabilities().sum() == pytest.approx(1, abs=1e-6)


def test_other_temperatures_are_refused_because_the_teacher_was_never_asked():
    top = make_codec("tinyvit:1", logits_signal(10)).decode({"logits": records([0], [[4]], [[0.5]])})
    with pytest.raises(UsageError, match="only known at temperature 1"):
        top.probabilities(2.0)


def test_rows_without_a_record_decode_to_finite_numbers():
    top = make_codec("tinyvit:2", logits_signal(10)).decode({"logits": np.zeros((3, 6), "<u2")})
    assert np.isfinite(top.probabilities()).all()


def test_a_teachers_logits_are_not_stored_this_way():
    codec = make_codec("tinyvit:2", logits_signal(10))
    for ask in (codec.encode, codec.error):
        with pytest.raises(UsageError, match="is for imported records only"):
            ask(torch.zeros(1, 10))
