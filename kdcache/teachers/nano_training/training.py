"""The training loop of the teachers in the package that are trained with labels.

Input: a pupil and pictures. Output: a trained pupil. A small network learns in minutes on a CPU because it also learns
where the target is (a loss on a feature map in the middle, whose small head is discarded), has separate losses for shape and
surface, starts with isolated targets, and trains its matrices with Muon.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kdcache.images.shapes.composition import SHAPES, SURFACES
from kdcache.networks.pixels import autocast, fastest_precision
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.nano_training.descent import Descent
from kdcache.teachers.nano_training.guide import Guide
from kdcache.teachers.nano_training.pictures import DrawnPictures, normalised, varied
from kdcache.teachers.nano_training.pupils import Pupil
from kdcache.teachers.nano_training.trainer import Work

CPU = torch.device("cpu")


@dataclass(frozen=True)
class _Lesson:
    """A batch for one training step."""

    raw: Tensor
    """Pixels in 0..255, for the guide."""
    pixels: Tensor
    """The same pixels, normalised for the pupil."""
    outline: Tensor
    labels: Tensor


def _loss(pupil: Pupil, sight: nn.Module, guide: Guide | None, lesson: _Lesson, dice: torch.Generator) -> Tensor:
    """The sum of losses: class, shape and surface separately, position of the target, and distance from the guide."""
    labels = lesson.labels
    with autocast(CPU, fastest_precision(CPU)):
        seen = pupil.look(lesson.pixels, dice)
        guided = guide(lesson.raw, seen) if guide is not None else None
    grid = seen.grids[0]
    table = seen.logits.log_softmax(1).view(-1, len(SHAPES), len(SURFACES))
    shape = nn.functional.nll_loss(table.logsumexp(2), labels // len(SURFACES))
    surface = nn.functional.nll_loss(table.logsumexp(1), labels % len(SURFACES))
    where = nn.functional.adaptive_avg_pool2d(lesson.outline / 255, (grid.shape[-2], grid.shape[-1]))
    found = nn.functional.binary_cross_entropy_with_logits(sight(grid), where)
    loss = (shape + surface) / 2 + 2 * found
    named = pupil.loss(seen.logits, labels)
    return loss + named if guided is None else loss + 0.3 * named + guided


def fit(pupil: Pupil, work: Work, guide: Guide | None = None) -> None:
    """Train in the fastest precision; all random numbers come from one seeded generator."""
    dice = torch.Generator().manual_seed(work.seed)
    sight = nn.Conv2d(pupil.dims[0], 1, 1)
    helpers = nn.ModuleList([sight] if guide is None else [sight, guide])
    descent = Descent(pupil.network, helpers, work.recipe, work.portions, work.saved)
    pupil.network.train()
    with sdpa_kernel([SDPBackend.MATH]):  # for so few tokens the fused kernels are slower on a CPU
        for step, pictures, rows in descent.batches(dice, work.progress):
            chosen = torch.rand((len(rows), 1, 1, 1), generator=dice) < 1 - step / (work.recipe.alone * descent.steps)
            seen = torch.where(chosen, pictures.alone[rows], pictures.pixels[rows])
            raw, outline = varied(seen, pictures.outline[rows], dice)
            pixels = normalised(raw, work.preprocess).contiguous(memory_format=torch.channels_last)
            descent.step(_loss(pupil, sight, guide, _Lesson(raw, pixels, outline, pictures.labels[rows]), dice))


def accuracy(pupil: Pupil, pictures: DrawnPictures, preprocess: Preprocess) -> float:
    """Fraction of pictures that are classified correctly."""
    pupil.network.eval()
    right = 0
    with torch.inference_mode():
        for first in range(0, len(pictures), 250):
            pixels, labels = pictures.pixels[first : first + 250], pictures.labels[first : first + 250]
            right += int((pupil.answer(normalised(pixels, preprocess)).argmax(1) == labels).sum())
    return right / len(pictures)
