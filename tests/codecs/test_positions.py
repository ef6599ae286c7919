"""Distributions over (position, class) whose rows differ in length: each position is what it would be as a row of its own."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.codecs import make_codec
from kdcache.codecs.codec import naming_rows
from kdcache.errors import Damage, UsageError
from kdcache.signals.padded import Padded, empty_rows, joined
from kdcache.signals.signal import Signal
from tests.codecs.truth import logits_signal, softmax

CODECS = ("topk", "full", "full:float16")


def answers(positions: int, classes: int) -> Signal:
    return Signal(name="answers", shape=(positions, classes), kind="distribution", lengths=True)


@st.composite
def emitted(draw: st.DrawFn) -> tuple[str, Signal, Padded]:
    """A codec, a signal, and what a teacher might emit: any lengths, and NaN or infinity where nothing is."""
    rows, positions, classes = draw(st.integers(0, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 30))
    lengths = torch.tensor(draw(st.lists(st.integers(0, positions), min_size=rows, max_size=rows)), dtype=torch.int32)
    seed, spread = draw(st.integers(0, 10_000)), draw(st.sampled_from((0.0, 1.0, 10.0, 1000.0)))
    values = torch.randn(rows, positions, classes, generator=torch.Generator().manual_seed(seed)) * spread
    values[torch.arange(positions) >= lengths[:, None]] = draw(st.sampled_from((0.0, float("nan"), float("inf"))))
    name = draw(st.sampled_from(CODECS))
    name = f"topk:{draw(st.integers(1, classes))}" if name == "topk" else name
    return name, answers(positions, classes), Padded(values, lengths)


@given(emitted())
@settings(max_examples=150, deadline=None)
def test_each_position_is_stored_as_a_row_of_its_own(case: tuple[str, Signal, Padded]) -> None:
    name, signal, true = case
    codec, flat = make_codec(name, signal), make_codec(name, logits_signal(signal.classes))
    fields, there = codec.encode(true), true.mask()
    rows = flat.encode(true.values[there])["logits"]
    assert fields["answers"][there.numpy()].tobytes() == rows.tobytes()
    assert not fields["answers"][~there.numpy()].any()
    assert np.array_equal(fields["answers_length"], true.lengths.numpy())


@given(emitted(), st.sampled_from((1.0, 1.5, 2.0, 4.0)), st.sampled_from(("uniform", "bucket", "renormalise", "none")))
@settings(max_examples=150, deadline=None)
def test_probabilities_are_those_of_rows_and_nothing_is_likely_where_nothing_is(
    case: tuple[str, Signal, Padded], temperature: float, tail: Any
) -> None:
    name, signal, true = case
    codec, flat = make_codec(name, signal), make_codec(name, logits_signal(signal.classes))
    decoded, there = codec.decode(codec.encode(true)), true.mask().numpy()
    one_by_one = flat.decode(flat.encode(true.values[true.mask()]))
    p = decoded.values.probabilities(temperature, tail)
    assert p.shape == (*there.shape, signal.classes + (tail == "bucket"))
    assert p.dtype == np.float32
    assert np.array_equal(p[there], one_by_one.probabilities(temperature, tail))
    assert not p[~there].any()
    assert np.array_equal(decoded.mask(), there)
    assert np.array_equal(decoded.values.mask(), there)
    assert np.array_equal(decoded.values.at(there).probabilities(temperature, tail), p[there])
    assert np.array_equal(decoded[1:3].values.probabilities(temperature, tail), p[1:3])
    moved = decoded.to("cpu")
    assert isinstance(moved.lengths, torch.Tensor)
    assert np.allclose(moved.values.probabilities(temperature, tail).numpy(), p, rtol=1e-5, atol=1e-7)


@given(emitted())
@settings(max_examples=100, deadline=None)
def test_words_on_a_device_decode_to_the_same(case: tuple[str, Signal, Padded]) -> None:
    name, signal, true = case
    codec = make_codec(name, signal)
    fields = codec.encode(true)
    words: Any = {key: torch.from_numpy(a) for key, a in fields.items()}
    here, there = codec.decode(fields), codec.decode(words)
    assert np.allclose(here.values.probabilities(), there.values.probabilities().numpy(), rtol=1e-6, atol=1e-7)
    assert np.array_equal(here.mask(), there.mask().numpy())


@given(emitted(), st.data())
@settings(max_examples=100, deadline=None)
def test_fewer_classes_are_made_of_more_as_of_a_row(case: tuple[str, Signal, Padded], data: st.DataObject) -> None:
    name, signal, true = case
    had = int(name.partition(":")[2]) if name.startswith("topk") else signal.classes
    target = f"topk:{data.draw(st.integers(1, had))}"
    before, after = make_codec(name, signal), make_codec(target, signal)
    flat = [make_codec(each, logits_signal(signal.classes)) for each in (name, target)]
    there = true.mask()
    rows = flat[1].recode(flat[0].decode(flat[0].encode(true.values[there])))["logits"]
    recoded = after.recode(before.decode(before.encode(true)))
    assert recoded["answers"][there.numpy()].tobytes() == rows.tobytes()
    assert not recoded["answers"][~there.numpy()].any()
    assert np.array_equal(recoded["answers_length"], true.lengths.numpy())


@given(emitted())
@settings(max_examples=50, deadline=None)
def test_the_measured_error_is_that_of_the_positions_that_are_there(case: tuple[str, Signal, Padded]) -> None:
    name, signal, true = case
    flat = make_codec(name, logits_signal(signal.classes))
    assert make_codec(name, signal).error(true) == flat.error(true.values[true.mask()])


def test_a_cross_entropy_is_taken_per_position_that_is_there() -> None:
    """As a student of it will: absent positions add nothing, and the mean is over those that are there."""
    signal, draw = answers(4, 9), torch.Generator().manual_seed(0)
    true = Padded(torch.randn(3, 4, 9, generator=draw), torch.tensor([4, 1, 0]))
    codec = make_codec("topk:9", signal)
    decoded = codec.decode(codec.encode(true)).to("cpu")
    student = torch.randn(3, 4, 9, generator=draw, requires_grad=True)
    each = -(decoded.values.probabilities(2.0) * (student / 2.0).log_softmax(-1)).sum(-1)
    assert not each[~decoded.mask()].any()
    loss = each.sum() / decoded.mask().sum()
    wanted = torch.nn.functional.cross_entropy(
        student[true.mask()] / 2.0, torch.from_numpy(softmax(true.values[true.mask()], 2.0)).float()
    )
    torch.testing.assert_close(loss, wanted, rtol=1e-3, atol=1e-4)
    loss.backward()
    assert not student.grad[~true.mask()].any()


@pytest.mark.parametrize("name", ["topk:3", "full", "int8", "codes"])
def test_a_length_from_a_stranger_names_the_row(name: str) -> None:
    signals = {
        "int8": Signal(name="answers", shape=(4, 9), lengths=True),
        "codes": Signal(name="answers", shape=(4, 9), kind="codes", vocabulary=5, lengths=True),
    }
    codec = make_codec(name, signals.get(name, answers(4, 9)))
    fields = {f.name: np.zeros(f.shape if f.per_part else (3, *f.shape), f.dtype) for f in codec.fields()}
    for wrong in (5, -1, 2**31 - 1, -(2**31)):
        fields["answers_length"][1] = wrong
        with (
            pytest.raises(Damage, match=rf"row 1701: .*a length of {wrong:,}, but a row has 0 to 4"),
            naming_rows([3, 1701, 7]),
        ):
            codec.decode(fields)


def test_a_class_that_is_none_names_the_row() -> None:
    codec = make_codec("topk:2", answers(4, 9))
    words = np.zeros((3, 4, 7), "<u2")
    words[2, 3, 1] = 9
    with pytest.raises(Damage, match="row 12: topk:2 records name class 9") as caught, naming_rows(range(10, 13)):
        codec.decode({"answers": words, "answers_length": np.zeros(3, np.int32)})
    assert caught.value.details["rows"] == [12]


def test_positions_without_lengths_are_rows_too() -> None:
    signal = Signal(name="layers", shape=(3, 20), kind="distribution")
    z = torch.randn(5, 3, 20, generator=torch.Generator().manual_seed(1))
    codec = make_codec("topk:4", signal)
    p = codec.decode(codec.encode(z)).probabilities()
    flat = make_codec("topk:4", logits_signal(20))
    assert np.array_equal(p.reshape(15, 20), flat.decode(flat.encode(z.reshape(15, 20))).probabilities())


def test_imported_records_have_no_positions() -> None:
    with pytest.raises(
        UsageError, match="tinyvit:3 holds one distribution a row, but answers has one at each position"
    ):
        make_codec("tinyvit:3", answers(4, 9))


def test_rows_are_joined_and_filled_in() -> None:
    signal = Signal(name="ids", shape=(3,), kind="codes", vocabulary=9, lengths=True)
    pieces = [
        Padded(torch.tensor([[1, 2, 3]]), torch.tensor([3])),
        Padded(torch.tensor([[4, 0, 0]]), torch.tensor([1])),
    ]
    together = joined(pieces)
    assert together.values[together.mask()].tolist() == [1, 2, 3, 4]
    rows = empty_rows(signal, 3)
    rows[1:] = together.numpy()
    rows[2] = 0
    assert (rows.values.dtype, rows.lengths.tolist()) == (np.int64, [0, 3, 0])
