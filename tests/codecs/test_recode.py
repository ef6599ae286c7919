"""From one codec to another without the teacher: what can be kept is kept, what cannot is refused."""

import numpy as np
import pytest
import torch

from kdcache.codecs import codec_names, make_codec
from kdcache.errors import UsageError
from tests.codecs.truth import features_signal, logits_signal

LOGITS = logits_signal(300)
z = torch.randn(12, 300, generator=torch.Generator().manual_seed(0)) * 3


def test_fewer_classes_of_top_k_are_nearly_what_the_teachers_logits_would_have_given():
    many, few = make_codec("topk:40", LOGITS), make_codec("topk:7", LOGITS)
    direct = few.encode(z)["logits"]
    recoded = few.recode(many.decode(many.encode(z)))["logits"]
    assert np.array_equal(recoded[:, :14], direct[:, :14])
    assert np.abs(recoded[:, 14:].astype(int) - direct[:, 14:]).max() <= 2


def test_top_k_from_whole_logits_is_top_k_of_the_teacher():
    full, few = make_codec("full", LOGITS), make_codec("topk:7", LOGITS)
    stored = full.encode(z)
    stored["logits"].flags.writeable = False
    assert np.array_equal(few.recode(full.decode(stored))["logits"], few.encode(z)["logits"])


@pytest.mark.parametrize("target", ["topk:41", "full", "full:float16"])
def test_classes_that_were_dropped_do_not_come_back(target):
    many = make_codec("topk:40", LOGITS)
    with pytest.raises(UsageError, match=f"{target} cannot be made .* 40 classes"):
        make_codec(target, LOGITS).recode(many.decode(many.encode(z)))


def test_tinyvit_records_do_not_become_top_k_because_two_tails_are_unknown():
    records = make_codec("tinyvit:5", LOGITS)
    decoded = records.decode({"logits": np.ones((2, 12), "<u2")})
    with pytest.raises(UsageError, match="no tails at temperatures 2 and 4"):
        make_codec("topk:5", LOGITS).recode(decoded)
    with pytest.raises(UsageError, match="is for imported records only"):
        records.recode(decoded)


@pytest.mark.parametrize("target", ["float32", "float16", "bfloat16", "int8"])
def test_dense_values_recode_as_if_they_had_been_said(target):
    signal = features_signal(3, 8)
    values = torch.randn(4, 3, 8)
    exact, other = make_codec("exact", signal), make_codec(target, signal)
    stored = exact.encode(values)
    stored["features"].flags.writeable = False
    recoded, decoded = other.recode(exact.decode(stored)), other.encode(values)
    assert recoded.keys() == decoded.keys()
    assert all(np.array_equal(recoded[name], decoded[name]) for name in decoded)


def test_the_names_for_a_signal_are_those_that_suit_it():
    for signal in (LOGITS, features_signal(3, 8)):
        for name in codec_names(signal):
            make_codec(name.replace("K", "5"), signal)
