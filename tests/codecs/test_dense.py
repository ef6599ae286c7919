"""float32, float16, bfloat16 and full: what comes back, what is refused."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdcache.codecs import make_codec
from kdcache.errors import Damage, UsageError
from tests.codecs.truth import features_signal, kl, logits_signal, softmax

WIDTHS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
blocks = arrays(
    np.float32, st.tuples(st.integers(0, 3), st.just(2), st.just(5)), elements=st.floats(-6e4, 6e4, width=32)
)


@given(blocks)
@settings(max_examples=100, deadline=None)
def test_each_width_is_the_nearest_it_can_say(values):
    z = torch.from_numpy(values)
    for name, dtype in WIDTHS.items():
        codec = make_codec(name, features_signal(2, 5))
        back = codec.decode(codec.encode(z))
        assert back.dtype == np.float32
        assert np.array_equal(back, z.to(dtype).float().numpy())


def test_bfloat16_rounds_to_the_nearest_even():
    step = 2.0**-7
    z = torch.tensor([[[1 + step / 2, 1 + 3 * step / 2, 1 + 0.6 * step, -1 - step / 2, 0.0]]])
    codec = make_codec("bfloat16", features_signal(1, 5))
    assert codec.decode(codec.encode(z))[0, 0].tolist() == [1.0, 1 + 2 * step, 1 + step, -1.0, 0.0]


@pytest.mark.parametrize("name", WIDTHS)
def test_decoding_into_a_given_array_fills_that_array(name):
    codec = make_codec(name, features_signal(2, 5))
    fields = codec.encode(torch.randn(4, 2, 5))
    out = np.full((4, 2, 5), np.nan, np.float32)
    codec.decode_into(fields, out)
    assert np.array_equal(out, codec.decode(fields))


@pytest.mark.parametrize("name", WIDTHS)
def test_fields_say_what_is_written(name):
    codec = make_codec(name, features_signal(2, 5))
    (field,) = codec.fields()
    array = codec.encode(torch.randn(3, 2, 5))[field.name]
    assert array.dtype == np.dtype(field.dtype)
    assert array.shape == (3, *field.shape)
    assert field.row_bytes == array[0].nbytes
    assert codec.rowwise
    assert dict(field.attributes)["codec"] == codec.name == name


@pytest.mark.parametrize(
    ("name", "largest", "too_large"), [("float16", 65_519.0, 65_520.0), ("bfloat16", 3.39e38, 3.4e38)]
)
def test_what_would_become_infinite_is_refused_by_channel(name, largest, too_large):
    codec = make_codec(name, features_signal(2, 5))
    z = torch.zeros(3, 2, 5)
    z[1, 1, 3] = -largest
    assert np.isfinite(codec.decode(codec.encode(z))).all()
    z[1, 1, 3] = -too_large
    with pytest.raises(UsageError, match="features channel 3 reaches") as caught:
        codec.encode(z)
    assert "float32" in str(caught.value.hint)


@pytest.mark.parametrize("name", [*WIDTHS, "int8"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_teacher_that_says_nan_is_never_stored(name, wrong):
    z = torch.zeros(8, 2, 5)
    z[6, 0, 1] = wrong
    with pytest.raises(Damage, match="features of rows 6 "):
        make_codec(name, features_signal(2, 5)).encode(z)


@pytest.mark.parametrize("name", [*WIDTHS, "int8"])
def test_no_rows(name):
    codec = make_codec(name, features_signal(2, 5))
    fields = codec.encode(torch.zeros(0, 2, 5))
    assert fields["features"].shape == (0, 2, 5)
    assert codec.decode(fields).shape == (0, 2, 5)


def test_full_keeps_logits_bit_for_bit_and_half_of_them_nearly():
    z = torch.randn(5, 12) * 10
    full, half = (make_codec(name, logits_signal(12)) for name in ("full", "full:float16"))
    assert np.array_equal(full.decode(full.encode(z)).values, z.numpy())
    assert np.allclose(half.decode(half.encode(z)).values, z.numpy(), rtol=2**-11)
    assert set(full.error(z).values()) == {0.0}
    error = half.error(z)
    back = torch.from_numpy(half.decode(half.encode(z)).values)
    assert error["max_abs"] == pytest.approx(float((back - z).abs().max()))
    assert error["kl_t2"] == pytest.approx(kl(softmax(z, 2.0), softmax(back, 2.0)).mean(), abs=1e-9)


def test_the_measured_error_is_the_error():
    z = torch.randn(4, 3, 7, generator=torch.Generator().manual_seed(0))
    codec = make_codec("bfloat16", features_signal(3, 7))
    error, back = codec.error(z), torch.from_numpy(codec.decode(codec.encode(z)))
    assert error["max_abs"] == pytest.approx(float((back - z).abs().max()))
    assert error["relative_rms"] == pytest.approx(float((back - z).norm() / z.norm()), rel=1e-5)
    assert error["cosine"] == pytest.approx(float(torch.cosine_similarity(back, z, dim=-1).mean()), abs=1e-6)
    assert make_codec("exact", features_signal(3, 7)).error(z) == {
        "relative_rms": 0,
        "max_abs": 0,
        "cosine": pytest.approx(1),
    }


def test_decoding_is_the_same_without_torch_and_does_not_load_it():
    code = """
import sys, numpy as np
from kdcache.codecs import make_codec
from kdcache.signals.signal import Signal
rng = np.random.default_rng(0)
half = rng.standard_normal((4, 3, 8)).astype(np.float16)
bytes_, scale = rng.integers(-127, 128, (4, 3, 8), dtype=np.int8), rng.random(8, np.float32)
signal = Signal(name="features", shape=(3, 8))
a = make_codec("float16", signal).decode({"features": half})
b = make_codec("int8", signal).decode({"features": bytes_, "features_scale": scale})
c = np.empty((4, 3, 8), np.float16)
make_codec("int8", signal).decode_into({"features": bytes_, "features_scale": scale}, c)
d = make_codec("topk:2", Signal(name="logits", shape=(9,))).decode({"logits": np.arange(14, dtype="<u2").reshape(2, 7)})
assert ("torch" in sys.modules) == (len(sys.argv) > 1)
print(a.tobytes().hex(), b.tobytes().hex(), c.tobytes().hex(), d.probabilities(3.0).tobytes().hex())
"""
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = subprocess.run(
        [sys.executable, "-c", "import torch\n" + code, "x"], capture_output=True, text=True, check=True
    )
    assert bare.stdout == loaded.stdout
