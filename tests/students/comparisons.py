"""Comparisons made by hand: no training, and every figure known."""

from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.views.recipe import Plain
from students.compare.arms import arms_of
from students.compare.measuring.measure import Measured
from students.compare.result.built import Built
from students.compare.result.comparison import Comparison
from students.compare.result.sums import Spread, Workload
from students.compare.room import Room

BATCH = 10
WAYS = ("on-stream", "off-stream")
STEPS = {"connected": 0.5, "stored": 0.3, "none": 0.2}
"""seconds of a step by where the teacher is"""
JOB = Workload(images=1000, epochs=10.0, students=1, views=1)


def teacher(*, source="package:florence-nano", **changes):
    """A teacher that says logits."""
    usual = {
        "family": "florence",
        "size": "nano",
        "weights": Weights(source=source, sha256="5eed" * 16),
        "preprocess": Preprocess(
            size=(64, 64),
            geometry=Plain(fit="crop", crop_pct=1.0, interpolation="bicubic"),
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
        ),
        "signals": (Signal(name="logits", shape=(10,)),),
        "taps": {"logits": "the head"},
    }
    return TeacherSpec(**{**usual, **changes})


def measured(arm, repeat=0, *, steps=20, step=None, device=False, score=True):
    """One repeat of an arm: later repeats are a little slower, and lose a little less."""
    seconds = (STEPS[arm.teacher] if step is None else step) * (1 + 0.02 * repeat)
    asks = 0.2 if arm.teacher == "connected" else 0.0
    losses = tuple(4.0 / (1 + 0.2 * n) - 0.05 * repeat for n in range(steps))
    return Measured(
        arm=arm.name,
        seed=repeat,
        steps=steps,
        images=steps * BATCH,
        step_seconds=seconds,
        stages={"waiting": 0.02, "teacher": asks, "student": seconds - asks - 0.05, "optimiser": 0.02},
        images_per_second=BATCH / seconds,
        peak_memory=1_500_000_000 if asks else 1_100_000_000,
        allocated=(9 if asks else 6) * 10**9 if device else None,
        reserved=(11 if asks else 8) * 10**9 if device else None,
        energy=30.0 if device else None,
        losses=losses,
        score=0.5 - 0.01 * repeat if score else None,
        unjudged=None if score else "no --val",
        pixels=64,
        weights=f"{arm.name}-{repeat}",
        imported_teacher=bool(asks),
    )


def comparison(names=WAYS, *, repeat=3, slow=None, device=False, build=0.08, room=False, **changes):
    """All arms over a job of 1,000 images and 10 epochs; `slow` is the seconds of a step by arm, `build` those of a view."""
    arms = arms_of(tuple(names))
    codecs = {"base": "topk:10", **{arm.codec: arm.codec for arm in arms if arm.codec}}
    size = {"bytes": 48_000, "row_bytes": 48.0, "views": 1, "rows": 1000}
    image = Spread(mean=build, half=build / 20)
    usual = {
        "arms": arms,
        "measured": {
            arm.name: tuple(measured(arm, n, step=(slow or {}).get(arm.name), device=device) for n in range(repeat))
            for arm in arms
        },
        "built": {name: Built(signals={"logits": codec}, image=image, **size) for name, codec in codecs.items()},
        "caches": {arm.name: arm.codec or "base" for arm in arms},
        "room": {arm.name: Room(memory=24 * 10**9, largest=96, all=False) for arm in arms} if room else {},
        "teacher": teacher(),
        "student": "tinyvit-5m",
        "images": "shapes-train",
        "image_bytes": None,
        "batch": BATCH,
        "steps": 20,
        "metric": "top-1",
        "unjudged": None,
        "recipe": "demo",
        "pixels": 64,
        "device": "NVIDIA H200" if device else "cpu",
        "machine": "x86_64, 2 cores",
        "job": JOB,
        "project": None,
    }
    return Comparison(**{**usual, **changes})
