"""The contract of every teacher as tests for pytest: derive from `TeacherContract` in a test file.

    from kdcache.testing.teachers import TeacherContract

    class TestMine(TeacherContract):
        signals = ("logits", "embedding")

        def open(self, signals):
            return open_teacher("mine", signals=signals)

The tests run on the CPU with a few random images of the teacher's input size, and with token ids if it reads them.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch

from kdcache.errors import UsageError
from kdcache.signals.padded import Padded
from kdcache.signals.shown import Shown
from kdcache.signals.teacher import TeacherSpec
from kdcache.teachers.batches import Batches
from kdcache.teachers.teacher import Teacher

ROWS = 4
"""Number of images in a batch."""


class TeacherContract:
    """The tests of a teacher."""

    signals: tuple[str, ...]
    """All signals that it can emit, at least one."""

    def open(self, signals: Sequence[str]) -> Teacher:
        """Open the teacher on the CPU for these signals."""
        raise NotImplementedError("say how the teacher is opened: a method `open`")

    _opened: ClassVar[Teacher | None] = None

    @pytest.fixture
    def teacher(self) -> Teacher:
        """The teacher with all its signals, opened once for the class."""
        suite = type(self)
        if suite._opened is None:
            suite._opened = self.open(self.signals)
        return suite._opened

    def test_it_emits_the_signals_it_says_in_the_shapes_it_says(self, teacher: Teacher) -> None:
        """Each signal has one row per image, the dtype of its kind, and the requested order."""
        assert tuple(signal.name for signal in teacher.spec.signals) == self.signals
        emitted = teacher.emit(example(teacher.spec))
        assert list(emitted) == list(self.signals)
        for signal in teacher.spec.signals:
            values, lengths = plain(emitted[signal.name])
            assert tuple(values.shape) == (ROWS, *signal.shape), signal.name
            assert values.dtype == getattr(torch, signal.dtype), signal.name
            assert torch.isfinite(values).all(), signal.name
            assert signal.lengths == (lengths is not None), signal.name
            assert lengths is None or (lengths.min() >= 0 and lengths.max() <= signal.shape[0]), signal.name
            assert signal.vocabulary is None or (values.min() >= 0 and values.max() < signal.vocabulary), signal.name
            assert signal.grid is None or signal.grid[0] * signal.grid[1] == signal.shape[0], signal.name

    def test_the_same_batch_gives_the_same_bits(self, teacher: Teacher) -> None:
        """The same batch gives the same bits, also after another batch, and whatever the state of random generators."""
        first = teacher.emit(example(teacher.spec))
        torch.manual_seed(7)
        teacher.emit(example(teacher.spec, seed=1))
        equal(first, teacher.emit(example(teacher.spec)))

    def test_a_row_does_not_depend_on_its_neighbours_or_its_place(self, teacher: Teacher) -> None:
        """In batches of the same size, a row's values do not depend on the other rows or on its position."""
        first, others = example(teacher.spec), example(teacher.spec, seed=1)
        mixed = joined(others[:1], first[0:1], others[2:3], first[2:3])
        one, two = teacher.emit(first), teacher.emit(mixed)
        for name in self.signals:
            equal({name: two[name][1:2]}, {name: one[name][:1]})
            equal({name: two[name][3:4]}, {name: one[name][2:3]})

    def test_a_batch_that_is_not_full_is_filled_up(self, teacher: Teacher) -> None:
        """A padded batch, as `Batches` makes it, gives the same rows as a full batch."""
        shown = example(teacher.spec)
        few = Batches(teacher, ROWS, hint="none").emit(shown[: ROWS - 1])
        whole = teacher.emit(shown)
        equal(few, {name: values[: ROWS - 1] for name, values in whole.items()})

    def test_nothing_it_emits_has_a_gradient(self, teacher: Teacher) -> None:
        """Signals have no gradient and can be used as targets of a loss."""
        with torch.enable_grad():
            emitted = teacher.emit(example(teacher.spec))
        for name, (values, _) in ((name, plain(rows)) for name, rows in emitted.items()):
            assert not values.requires_grad, name
            if not values.is_floating_point():
                continue
            student = torch.zeros_like(values, requires_grad=True)
            (gradient,) = torch.autograd.grad(torch.nn.functional.mse_loss(student, values), student)
            assert gradient.shape == values.shape, name  # tensors made in inference mode would raise an error here

    def test_opened_again_it_is_the_same_teacher(self, teacher: Teacher) -> None:
        """Opening it again gives the same record and bits, and does not change global random generators."""
        before = torch.get_rng_state()
        again = self.open(self.signals)
        assert torch.equal(before, torch.get_rng_state()), "opening it touches the global generator of random numbers"
        assert again.spec == teacher.spec
        equal(teacher.emit(example(teacher.spec)), again.emit(example(teacher.spec)))

    def test_its_record_is_plain_and_names_its_weights(self, teacher: Teacher) -> None:
        """Its record survives JSON, and has the sha256 of the weights and a description of each signal's origin."""
        spec = teacher.spec
        assert TeacherSpec.from_plain(spec.plain()) == spec
        assert len(spec.weights.sha256) == 64
        assert set(spec.weights.sha256) <= set("0123456789abcdef")
        assert set(spec.taps) == set(self.signals)
        named = [signal for signal in spec.signals if signal.names_classes]
        assert spec.classes is None or [len(spec.classes)] == [signal.size for signal in named[:1]]

    def test_each_signal_can_be_asked_for_alone(self, teacher: Teacher) -> None:
        """A signal requested alone equals the same signal requested with others."""
        whole = teacher.emit(example(teacher.spec))
        for name in self.signals:
            equal(self.open((name,)).emit(example(teacher.spec)), {name: whole[name]})

    def test_a_signal_it_cannot_emit_is_refused(self) -> None:
        """An unknown signal raises an error that names it."""
        with pytest.raises(UsageError, match="no-such-signal"):
            self.open(("no-such-signal",))

    def test_images_of_another_size_are_refused(self, teacher: Teacher) -> None:
        """Images of another size raise an error; they are not resized silently."""
        shown = example(teacher.spec)
        with pytest.raises(UsageError):
            teacher.emit(Shown(shown.pixels[:, 1:], shown.tokens, shown.lengths))


def example(spec: TeacherSpec, rows: int = ROWS, seed: int = 0) -> Shown:
    """Random images; for a teacher that reads token ids, each row has one id more than the row before."""
    dice = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (rows, *spec.preprocess.size, 3), dtype=torch.uint8, generator=dice)
    if spec.reads is None:
        return Shown(pixels)
    lengths = torch.arange(1, rows + 1).clamp(max=spec.reads)
    ids = torch.randint(1, 5, (rows, spec.reads), generator=dice)
    return Shown(pixels, ids * (torch.arange(spec.reads) < lengths[:, None]), lengths)


def joined(*pieces: Shown) -> Shown:
    """The rows of several batches as one."""
    pixels = torch.cat([piece.pixels for piece in pieces])
    tokens, lengths = ([getattr(piece, name) for piece in pieces] for name in ("tokens", "lengths"))
    if tokens[0] is None:
        return Shown(pixels)
    return Shown(pixels, torch.cat(tokens), torch.cat(lengths))


def plain(rows: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Split a signal into values and lengths; lengths are None if rows have the same length."""
    return (rows.values, rows.lengths) if isinstance(rows, Padded) else (rows, None)


def equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Assert that all signals are equal bit by bit; the error names the signal."""
    assert list(one) == list(other)
    for name, rows in one.items():
        (values, lengths), (its_values, its_lengths) = plain(rows), plain(other[name])
        assert torch.equal(values, its_values), name
        assert (lengths is None) == (its_lengths is None), name
        if lengths is not None and its_lengths is not None:
            assert torch.equal(lengths, its_lengths), name
