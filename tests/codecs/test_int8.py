"""int8: no value off by more than half its channel's scale, one scale a channel and part."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdcache.codecs import make_codec
from kdcache.errors import UsageError
from tests.codecs.truth import features_signal

blocks = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.just(3), st.just(5)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)


@given(blocks)
@settings(max_examples=150, deadline=None)
def test_no_value_is_off_by_more_than_half_its_scale(values):
    codec = make_codec("int8", features_signal(3, 5))
    fields = codec.encode(torch.from_numpy(values))
    half = fields["features_scale"].astype(np.float64) / 2
    assert np.all(np.abs(codec.decode(fields).astype(np.float64) - values) <= half * (1 + 1e-5))
    greatest = np.abs(values).max((0, 1))
    assert np.all(half * 2 * 127 <= np.maximum(greatest * (1 + 1e-5), 127 * np.finfo(np.float32).tiny))


def test_channels_do_not_share_a_scale():
    z = torch.randn(16, 3, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-6, 1.0, 1e3, 0.0])
    codec = make_codec("int8", features_signal(3, 4))
    fields = codec.encode(z)
    back = codec.decode(fields)
    for channel in range(3):
        wrong = np.linalg.norm(back[..., channel] - z[..., channel].numpy()) / z[..., channel].norm()
        assert wrong < 0.012
    assert fields["features_scale"][3] == 0
    assert not back[..., 3].any()


def test_all_rows_of_a_part_share_the_scales():
    codec = make_codec("int8", features_signal(3, 5))
    assert not codec.rowwise
    z = torch.randn(6, 3, 5)
    fields = codec.encode(z)
    values, scale = codec.fields()
    assert (values.name, values.dtype, values.shape, values.per_part) == ("features", "|i1", (3, 5), False)
    assert (scale.name, scale.dtype, scale.shape, scale.per_part) == ("features_scale", "<f4", (5,), True)
    assert values.row_bytes == 15
    assert np.array_equal(fields["features_scale"], (z.abs().amax((0, 1)) / 127).numpy())
    some = {"features": fields["features"][2:4], "features_scale": fields["features_scale"]}
    assert np.array_equal(codec.decode(some), codec.decode(fields)[2:4])


def test_decoding_into_reused_arrays_of_either_width():
    codec = make_codec("int8", features_signal(300, 768))
    fields = codec.encode(torch.randn(3, 300, 768))
    plain = fields["features"].astype(np.float32) * fields["features_scale"]
    for dtype in (np.float32, np.float16):
        out = np.full((3, 300, 768), np.nan, dtype)
        codec.decode_into(fields, out)
        assert np.array_equal(out, plain.astype(dtype))


def test_what_float16_cannot_hold_is_not_decoded_to_infinity():
    codec = make_codec("int8", features_signal(1, 2))
    fields = codec.encode(torch.tensor([[[1e5, 1.0]]]))
    with pytest.raises(UsageError, match="does not fit into float16"):
        codec.decode_into(fields, np.empty((1, 1, 2), np.float16))


def test_an_embedding_has_channels_too():
    from kdcache.signals.signal import Signal

    codec = make_codec("int8", Signal(name="embedding", shape=(64,)))
    z = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    error = codec.error(z)
    assert error["relative_rms"] < 0.01
    assert error["cosine"] > 0.9999


def test_the_same_part_gives_the_same_bytes():
    z = torch.randn(6, 3, 5)
    codec = make_codec("int8", features_signal(3, 5))
    first, second = codec.encode(z), codec.encode(z.clone())
    assert all(np.array_equal(first[name], second[name]) for name in first)
