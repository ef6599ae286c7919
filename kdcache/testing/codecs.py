"""The contract of every codec as tests: derive from `CodecContract` in a test file, and set `codec`.

    from kdcache.testing.codecs import CodecContract

    class TestHalves(CodecContract):
        codec = Halves

Each test runs on every signal of `EXAMPLES` that the codec takes, with and without rows of different lengths. `number` is the K
of a codec that has one.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from kdcache.codecs.codec import Codec, Fields
from kdcache.codecs.padded_codec import PaddedCodec
from kdcache.errors import Damage, KDError, UsageError
from kdcache.signals.padded import Padded, present
from kdcache.signals.signal import Signal

EXAMPLES = (
    Signal(name="logits", shape=(12,)),
    Signal(name="answers", shape=(5, 12), kind="distribution"),
    Signal(name="answers", shape=(5, 12), kind="distribution", lengths=True),
    Signal(name="embedding", shape=(8,)),
    Signal(name="scores", shape=(8,), axes=("question",), lengths=True),
    Signal(name="features", shape=(6, 4), grid=(2, 3)),
    Signal(name="layers", shape=(3, 6, 4)),
    Signal(name="patches", shape=(6, 4), lengths=True),
    Signal(name="ids", shape=(7,), kind="codes", vocabulary=300),
    Signal(name="ids", shape=(7,), kind="codes", vocabulary=300, lengths=True),
    Signal(name="quantised", shape=(6, 2), kind="codes", vocabulary=200),
)
"""Signals of every kind, with and without lengths."""
ROWS = 6
ROOM = 1e-5
"""Tolerance for float32 arithmetic in addition to a declared error."""


def example_values(signal: Signal, rows: int = ROWS, seed: int = 0) -> Any:
    """Random values of a signal as a teacher would emit them: between -1 and 1, or any codes.

    If rows differ in length, they have 0, 1, 2 … positions; beyond that there are NaN or invalid codes, which must be ignored.
    """
    dice = torch.Generator().manual_seed(seed)
    shape = (rows, *signal.shape)
    if signal.vocabulary is not None:
        values = torch.randint(0, signal.vocabulary, shape, generator=dice)
    else:
        values = torch.rand(shape, generator=dice) * 2 - 1
    if not signal.lengths:
        return values
    lengths = torch.arange(rows, dtype=torch.int32) % (signal.shape[0] + 1)
    values[~present(lengths, signal.shape[0])] = float("nan") if values.is_floating_point() else -1
    return Padded(values, lengths)


class CodecContract:
    """The tests of a codec; set `codec` to its class."""

    codec: type[Codec]
    number: int = 3
    examples: tuple[Signal, ...] = EXAMPLES

    def made(self) -> Iterator[tuple[Codec, Any]]:
        """Yield the codec for each example signal that it takes, with values to encode."""
        for signal in self.examples:
            if self.codec.usable_for(signal) is None:
                yield self.make(signal), example_values(signal)

    def make(self, signal: Signal) -> Codec:
        """Make the codec for one signal like `make_codec` does."""
        inner = self.codec(signal, self.number) if self.codec.takes_number() else self.codec(signal)  # type: ignore[call-arg]
        return PaddedCodec(inner) if signal.lengths else inner

    def test_it_declares_itself(self) -> None:
        """It declares a name, a help line and kinds, and explains why it refuses a signal."""
        assert self.codec.form
        assert self.codec.help
        assert "\n" not in self.codec.help
        assert list(self.made()), "it takes none of the example signals"
        refused = [
            self.codec.usable_for(signal) for signal in self.examples if self.codec.usable_for(signal) is not None
        ]
        assert all(refused), "it refuses a signal without giving a reason"
        for codec, _ in self.made():
            assert codec.name.partition(":")[0] == self.codec.form.partition(":")[0]
            assert self.codec.usual_for(codec.signal) in (None, *_names(self.codec, codec.signal))

    def test_fields_are_as_declared(self) -> None:
        """Encoded arrays have the declared names, types, shapes and sizes; the first field has the signal's name."""
        for codec, values in self.made():
            fields = codec.fields()
            assert fields[0].name == codec.signal.name
            assert all(field.name.startswith(codec.signal.name) for field in fields)
            assert len({field.name for field in fields}) == len(fields)
            assert codec.row_bytes == sum(field.row_bytes for field in fields if not field.per_part)
            if not self.codec.imported:
                _as_declared(codec, codec.encode(values), ROWS)
            _as_declared(codec, _zeros(codec, 2), 2)

    def test_what_comes_back_is_within_the_declared_error(self) -> None:
        """After encoding and decoding, every row is within `tolerance`, and all lengths are equal."""
        for codec, values in self._writing():
            far = codec.distance(codec.encode(values), values.cpu().numpy())
            assert far.shape == (ROWS,)
            assert (far <= codec.tolerance + ROOM).all(), (
                f"{codec.name} of {codec.signal}: {far.max()} > {codec.tolerance}"
            )
            if codec.signal.lengths:
                assert np.array_equal(codec.decode(codec.encode(values)).lengths, values.lengths.numpy())

    def test_other_values_are_further(self) -> None:
        """`distance` detects that values have changed."""
        for codec, values in self._writing():
            other = example_values(codec.signal, seed=1)
            far = codec.distance(codec.encode(values), other.cpu().numpy())
            assert far.max() > codec.tolerance + 0.01, f"{codec.name} of {codec.signal} takes other values for the same"

    def test_the_same_values_are_the_same_bytes(self) -> None:
        """Encoding is deterministic, and ignores values beyond a row's length."""
        for codec, values in self._writing():
            once, again = codec.encode(values), codec.encode(_with_other_padding(values))
            assert all(once[name].tobytes() == again[name].tobytes() for name in once)

    def test_a_row_depends_on_itself_alone(self) -> None:
        """A rowwise codec gives the same bytes for rows encoded together and separately; every codec decodes rows separately."""
        for codec, values in self._writing():
            fields = codec.encode(values)
            together = codec.decode(fields)
            for row in range(ROWS):
                one = slice(row, row + 1)
                if codec.rowwise:
                    alone = codec.encode(values[one])
                    assert all(alone[name].tobytes() == fields[name][one].tobytes() for name in fields)
                assert _same(codec.decode(_rows(codec, fields, one)), together[one])

    def test_no_rows(self) -> None:
        """An empty batch is encoded and decoded like any other."""
        for codec, values in self._writing():
            fields = codec.encode(values[:0])
            _as_declared(codec, fields, 0)
            assert len(codec.decode(fields)) == 0

    def test_what_is_no_number_is_never_stored(self) -> None:
        """NaN and infinity are Damage that names the rows."""
        for codec, values in self._writing():
            inner = values.values if codec.signal.lengths else values
            if not inner.is_floating_point():
                continue
            for wrong in (float("nan"), float("inf")):
                inner[ROWS - 1].reshape(-1)[0] = wrong  # the last row has a length of at least one
                error = _raised(Damage, partial(codec.encode, values))
                assert error.details["rows"] == [ROWS - 1]

    def test_rows_of_zeros_decode(self) -> None:
        """Rows of zeros (of unusable images) can be decoded and have the right shape."""
        for codec, _ in self.made():
            fields = _zeros(codec, 2)
            values = codec.decode(fields)
            assert len(values) == 2
            if codec.signal.kind != "distribution":
                plain = values.values if codec.signal.lengths else values
                assert (plain.shape, str(plain.dtype)) == ((2, *codec.signal.shape), codec.signal.dtype)

    def test_absent_positions_are_zeros(self) -> None:
        """Bytes and probabilities beyond the length of a row are zeros."""
        for codec, values in self._writing():
            if not codec.signal.lengths:
                continue
            fields, absent = codec.encode(values), ~values.mask().numpy()
            assert not any(fields[f.name][absent].any() for f in codec.fields() if f.by_position)
            back = codec.decode(fields)
            assert np.array_equal(np.asarray(back.mask()), ~absent)
            if codec.signal.kind == "distribution":
                assert not back.values.probabilities()[absent].any()

    def test_a_length_that_cannot_be_is_damage(self) -> None:
        """Impossible lengths in a stranger's file raise Damage."""
        for codec, _ in self.made():
            if codec.signal.lengths:
                for wrong in (-1, codec.signal.shape[0] + 1, 2**31 - 1):
                    fields = _zeros(codec, 3)
                    fields[f"{codec.signal.name}_length"][1] = wrong
                    error = _raised(Damage, partial(codec.decode, fields))
                    assert error.details["rows"] == [1]

    def test_values_go_through_it_again(self) -> None:
        """Encoding decoded values again, as in a conversion, at most doubles the error."""
        for codec, values in self._writing():
            again = codec.recode(codec.decode(codec.encode(values)))
            far = codec.distance(again, values.cpu().numpy())
            assert (far <= 2 * max(codec.tolerance, codec.rounding) + ROOM).all()
            assert len(codec.as_values(codec.decode(again))) == ROWS

    def test_errors_are_figures(self) -> None:
        """The errors for the plan are finite numbers."""
        for codec, values in self._writing():
            assert all(np.isfinite(value) for value in codec.error(values).values())

    def test_a_row_is_printed(self) -> None:
        """A row of any length can be shown as JSON and as lines."""
        import json

        for codec, values in self._writing():
            for row in range(ROWS):
                decoded = codec.decode(_rows(codec, codec.encode(values), slice(row, row + 1)))
                one = decoded[0] if isinstance(decoded, np.ndarray) else decoded
                json.dumps(codec.plain(one))
                lines = codec.describe(one, None)
                assert lines
                assert all(isinstance(cell, str) for line in lines for cell in line)

    def test_records_of_others_are_only_read(self) -> None:
        """A codec for imported records refuses to encode a teacher's signals."""
        for codec, values in self.made():
            if self.codec.imported:
                _raised(UsageError, partial(codec.encode, values))

    def test_arrays_of_a_part_are_of_codecs_that_see_the_part(self) -> None:
        """Only codecs that are not rowwise have arrays that a part has only once; they decode to arrays."""
        for codec, _ in self._writing():
            per_part = [field for field in codec.fields() if field.per_part]
            assert not (codec.rowwise and per_part)
            if per_part:
                assert codec.signal.kind != "distribution"

    def test_it_decodes_into_rows_that_are_there(self) -> None:
        """To what it decodes without them; a distribution is no array, and has none."""
        for codec, values in self._writing():
            if codec.signal.kind != "distribution":
                fields = codec.encode(values)
                out = np.full((ROWS, *codec.signal.shape), 7, codec.signal.dtype)
                into = Padded(out, np.zeros(ROWS, np.int32)) if codec.signal.lengths else out
                codec.decode_into(fields, into)
                assert _same(into, codec.decode(fields))

    def _writing(self) -> Iterator[tuple[Codec, Any]]:
        return iter(()) if self.codec.imported else self.made()


def _names(kind: type[Codec], signal: Signal) -> tuple[str, ...]:
    """Names under which a codec may be the default."""
    return (kind.form, *kind.choices_for(signal)) if not kind.takes_number() else kind.choices_for(signal)


def _as_declared(codec: Codec, fields: Fields, rows: int) -> None:
    assert set(fields) == {field.name for field in codec.fields()}
    for field in codec.fields():
        array = fields[field.name]
        assert array.dtype == np.dtype(field.dtype), f"{field.name} is {array.dtype}, declared {field.dtype}"
        assert array.shape == (field.shape if field.per_part else (rows, *field.shape))
        assert rows == 0 or field.per_part or array[0].nbytes == field.row_bytes
        if field.by_position:
            assert field.shape[0] == codec.signal.shape[0]


def _zeros(codec: Codec, rows: int) -> Fields:
    return {f.name: np.zeros(f.shape if f.per_part else (rows, *f.shape), f.dtype) for f in codec.fields()}


def _rows(codec: Codec, fields: Fields, rows: slice) -> Fields:
    return {f.name: fields[f.name] if f.per_part else fields[f.name][rows] for f in codec.fields()}


def _with_other_padding(values: Any) -> Any:
    """The rows with other values beyond their lengths."""
    if not isinstance(values, Padded):
        return values.clone()
    other = values.values.clone()
    other[~values.mask()] = 0
    return Padded(other, values.lengths)


def _same(one: Any, other: Any) -> bool:
    """Whether two decoded values are equal, of whatever type."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if hasattr(one, "probabilities"):
        return np.array_equal(one.probabilities(), other.probabilities())
    return np.array_equal(one.lengths, other.lengths) and _same(one.values, other.values)


def _raised(kind: type[KDError], action: Callable[[], Any]) -> KDError:
    try:
        action()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")
