"""The one loop that runs a teacher: batches of one size, filled up with black, and halved for as long as memory runs out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdcache.errors import OutOfMemory, StorageError
from kdcache.signals.shown import Shown
from kdcache.teachers.batches import Batches


class Counting:
    """Emits the sum of each image and the size of the batch it came in; has memory for so many images."""

    def __init__(self, memory: int = 1 << 20) -> None:
        self.memory, self.seen = memory, list[int]()

    def emit(self, shown: Shown) -> dict[str, torch.Tensor]:
        if len(shown) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.seen.append(len(shown))
        sums = shown.pixels.flatten(1).sum(1, dtype=torch.float32)
        return {"sum": sums[:, None], "size": torch.full((len(shown), 1), float(len(shown)))}


def images(count: int) -> Shown:
    return Shown((torch.arange(count * 12) % 251).to(torch.uint8).view(count, 2, 2, 3))


def batches(teacher: Counting, size: int) -> Batches:
    return Batches(teacher, size, hint="a way out")  # type: ignore[arg-type]


@given(count=st.integers(1, 40), size=st.integers(1, 16), memory=st.integers(1, 16))
def test_every_image_comes_out_once_and_always_from_a_batch_of_one_size(count, size, memory):
    teacher = Counting(memory)
    looped = batches(teacher, size)
    emitted = looped.emit(images(count))
    assert torch.equal(emitted["sum"], Counting().emit(images(count))["sum"])
    assert set(emitted["size"].flatten().tolist()) == {float(looped.size)}
    assert looped.size <= memory
    assert looped.size == size or 2 * looped.size + 1 > memory, "no smaller than it must be"
    assert looped.facts == ({} if looped.size == size else {"pieces": -(-size // looped.size)})


def test_the_last_batch_is_filled_up_with_black():
    teacher = Counting()
    assert len(batches(teacher, 8).emit(images(11))["sum"]) == 11
    assert teacher.seen == [8, 8]


def test_the_size_stays_halved_and_is_told_once():
    notes: list[str] = []
    looped = Batches(Counting(3), 8, hint="a way out", note=notes.append)  # type: ignore[arg-type]
    looped.emit(images(8))
    looped.emit(images(8))
    assert notes == [
        "out of memory: the teacher now sees 4 images at a time",
        "out of memory: the teacher now sees 2 images at a time",
    ]


def test_a_device_without_memory_for_one_image_is_a_failure_of_storage_with_a_way_out():
    with pytest.raises(OutOfMemory, match="does not fit into the memory of the device") as caught:
        batches(Counting(0), 8).emit(images(2))
    assert isinstance(caught.value, StorageError)
    assert caught.value.hint == "a way out"


def test_other_errors_of_a_teacher_are_not_taken_for_a_lack_of_memory():
    class Wrong:
        def emit(self, shown):
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Batches(Wrong(), 8, hint="").emit(images(1))  # type: ignore[arg-type]
