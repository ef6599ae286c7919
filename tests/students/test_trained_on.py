"""Planning says so where the student would be judged on images it is trained on."""

import pytest

from students.options import MachineOptions, TrainOptions
from students.plan.plan import plan_run

IMAGES = "shapes:count=32,size=32"
SCORE = "so the score says little about other images: name others with --val"


def notes(cache=None, *, val: str, data: str | None = None) -> list[str]:
    stream = "off" if cache else "none"
    options = TrainOptions(cache=cache, stream=stream, val=val, size=32, batch=8, steps=1)
    planned = plan_run(options, MachineOptions(device="cpu", workers=0, data=data), 1)
    return [note.text for note in planned.notes if "training images" in note.text]


@pytest.mark.parametrize(
    ("data", "val", "which"),
    [
        (IMAGES, IMAGES, "all 32 validation images of shapes-train"),
        (IMAGES, f"few:5:{IMAGES}", "all 5 validation images of shapes-train-5"),
        (f"few:12:{IMAGES}", IMAGES, "12 of the 32 validation images of shapes-train"),
    ],
)
def test_validation_images_that_are_training_images(data, val, which):
    assert notes(data=data, val=val) == [f"{which} are training images, {SCORE}"]


def test_other_validation_images():
    assert notes(data=IMAGES, val="shapes:count=32,size=32,split=val") == []


def test_the_images_of_a_cache(cache):
    from kdcache.cache import Cache

    count = len(Cache.open(cache))
    (note,) = notes(cache, val=f"few:7:shapes:count={count},size=32")
    assert note == f"all 7 validation images of shapes-train-7 are training images, {SCORE}"
