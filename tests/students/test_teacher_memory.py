"""A teacher that runs out of memory: on-stream it is shown fewer images at a time, and where none fit, a way out is told."""

from pathlib import Path

import pytest
import torch

from kdcache.base.progress import Silent
from kdcache.errors import OutOfMemory
from kdcache.signals.shown import Shown
from kdcache.teachers.frozen import FrozenTeacher
from tests.students.conftest import learn, losses_of


def with_memory_for(monkeypatch: pytest.MonkeyPatch, images: int) -> list[int]:
    """Teachers have memory for so many images -> the sizes of the batches they are shown."""
    emit, seen = FrozenTeacher.emit, list[int]()

    def limited(self: FrozenTeacher, shown: Shown) -> dict[str, torch.Tensor]:
        if len(shown) > images:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append(len(shown))
        return emit(self, shown)

    monkeypatch.setattr(FrozenTeacher, "emit", limited)
    return seen


def test_a_connected_teacher_is_shown_fewer_images_at_a_time(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = learn(tmp_path / "whole", cache, stream="on", steps=2)
    seen = with_memory_for(monkeypatch, 5)
    halved, _ = learn(tmp_path / "halved", cache, stream="on", steps=2)
    assert set(seen) == {4}, "the batch of 16 of the plan, halved twice"
    assert losses_of(halved) == pytest.approx(losses_of(run), rel=1e-4)


def test_where_not_one_image_fits_a_training_ends_with_a_way_out(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_memory_for(monkeypatch, 0)
    with pytest.raises(OutOfMemory) as caught:
        learn(tmp_path / "r", cache, stream="on", steps=2)
    assert "--stream off" in str(caught.value.hint)
    assert "--resume" in str(caught.value.hint)


def test_a_measured_training_without_memory_for_its_teacher_does_not_fit(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from students.compare.measuring import measure

    def none_left(task: object) -> None:
        raise OutOfMemory("none left")

    monkeypatch.setattr(measure, "measure", none_left)
    monkeypatch.setattr(measure.ArmTask, "from_plain", classmethod(lambda cls, task: task))
    assert measure.measured({}) is None


@pytest.mark.parametrize("memory", [3, 0])
def test_a_teacher_that_is_asked_again_by_verify_is_shown_fewer_images_at_a_time(
    cache: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    from kdcache.check.sampling import VerifyOptions
    from kdcache.check.verify import verify

    seen = with_memory_for(monkeypatch, memory)
    if memory:
        report = verify(cache, VerifyOptions(teacher=20), Silent())
        assert report.ok
        assert report.rerun == 20
        assert set(seen) == {2}
    else:
        with pytest.raises(OutOfMemory) as caught:
            verify(cache, VerifyOptions(teacher=20), Silent())
        assert "without --teacher" in str(caught.value.hint)


@pytest.mark.parametrize("memory", [5, 0])
def test_a_trial_finds_the_batch_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    from kdcache.build.options import BuildOptions
    from kdcache.build.prepare import prepare

    seen = with_memory_for(monkeypatch, memory)
    options = BuildOptions(teacher="florence", data="shapes:count=20,size=32", batch=16, workers=0, devices=("cpu",))
    if memory:
        assert prepare(options, tmp_path / "c").plan.batch == 4
        assert set(seen) == {4}
    else:
        with pytest.raises(OutOfMemory, match="even with one image a batch"):
            prepare(options, tmp_path / "c")
