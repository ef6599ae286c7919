"""Train a network with labels, and measure it on the held-out split."""

from kdcache.teachers.nano_training.guide import Guide
from kdcache.teachers.nano_training.pupils import Pupil
from kdcache.teachers.nano_training.trainer import Made, Work
from kdcache.teachers.nano_training.training import accuracy, fit


def trained_on_names(pupil: Pupil, work: Work, *, measured: str, guide: Guide | None = None) -> Made:
    """Train the pupil. `measured`: a description of how its logits are computed."""
    fit(pupil, work, guide)
    pupil.network.half().float()
    score = accuracy(pupil, work.held_out, work.preprocess)
    return Made(pupil.save, score, {"measured": f"top-1 on shapes:split=val, {measured}"})
