"""One training loop for both nano teachers.

Input: a pupil and pictures in memory. Output: a trained pupil. What makes a small network learn in minutes on a CPU: it
is told where the target is (a loss on the grid half-way, whose small head is thrown away), it is judged on shape and
surface separately too, it starts with targets alone, and its matrices are trained with Muon.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kdcache.images.shapes.scene import SHAPES, SURFACES
from kdcache.progress import Progress
from kdcache.spec import Preprocess
from kdcache.teachers.nano import Family
from kdcache.teachers.nano.guide import Guide
from kdcache.teachers.nano.pictures import Pictures, normalised, varied
from kdcache.teachers.nano.pupils import Pupil


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train."""

    epochs: int
    rate: float
    """of AdamW: convolutions, embeddings, heads, vectors"""
    matrix_rate: float = 6e-3
    """of Muon: the matrices inside"""
    batch: int = 64
    decay: float = 0.05
    warmup: float = 0.05
    """share of all steps"""
    alone: float = 0.2
    """share of all steps over which targets alone give way to whole pictures"""


RECIPES: dict[Family, Recipe] = {"florence": Recipe(epochs=24, rate=2e-3), "clip": Recipe(epochs=24, rate=1e-3)}
_OUTER = ("embed", "projection", "head")


def _optimisers(network: nn.Module, helpers: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between the first and the last layer, AdamW for the rest."""
    matrices: list[nn.Parameter] = []
    others = list(helpers.parameters())
    for name, parameter in network.named_parameters():
        inner = parameter.ndim == 2 and not any(word in name for word in _OUTER)
        (matrices if inner else others).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": recipe.decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [
        torch.optim.AdamW(groups, recipe.rate, betas=(0.9, 0.98), fused=True),
        torch.optim.Muon(matrices, recipe.matrix_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
    ]


def _pace(step: int, steps: int, warmup: float) -> float:
    """Share of the full rate: a straight warm-up, then half a cosine down to nothing."""
    rise = warmup * steps
    return (step + 1) / rise if step < rise - 1 else (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2


@dataclass(frozen=True)
class _Lesson:
    """A batch as it is shown."""

    raw: Tensor
    """pixels in 0..255, for the guide"""
    pixels: Tensor
    """the same as the pupil wants them"""
    outline: Tensor
    labels: Tensor


def _loss(pupil: Pupil, sight: nn.Module, guide: Guide | None, lesson: _Lesson, dice: torch.Generator) -> Tensor:
    """The class, the shape and the surface on their own, where the target is, and what the guide sees."""
    labels = lesson.labels
    with torch.autocast("cpu", torch.bfloat16):
        seen = pupil.look(lesson.pixels, dice)
        guided = guide(lesson.raw, seen) if guide is not None else None
    grid = seen.grids[0]
    table = seen.logits.log_softmax(1).view(-1, len(SHAPES), len(SURFACES))
    shape = nn.functional.nll_loss(table.logsumexp(2), labels // len(SURFACES))
    surface = nn.functional.nll_loss(table.logsumexp(1), labels % len(SURFACES))
    where = nn.functional.avg_pool2d(lesson.outline / 255, lesson.outline.shape[-1] // grid.shape[-1])
    found = nn.functional.binary_cross_entropy_with_logits(sight(grid), where)
    loss = (shape + surface) / 2 + 2 * found
    named = pupil.loss(seen.logits, labels)
    return loss + named if guided is None else loss + 0.3 * named + guided


def fit(
    pupil: Pupil,
    pictures: Pictures,
    preprocess: Preprocess,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
    guide: Guide | None = None,
) -> None:
    """Train in bfloat16; everything that is drawn comes from one seeded generator."""
    dice = torch.Generator().manual_seed(seed)
    sight = nn.Conv2d(pupil.dims[0], 1, 1)
    helpers = nn.ModuleList([sight] if guide is None else [sight, guide])
    optimisers = _optimisers(pupil.network, helpers, recipe)
    each = len(pictures) // recipe.batch
    steps = recipe.epochs * each
    paces = [torch.optim.lr_scheduler.LambdaLR(o, lambda s: _pace(s, steps, recipe.warmup)) for o in optimisers]
    pupil.network.train()
    progress.start("train", steps * recipe.batch)
    with sdpa_kernel([SDPBackend.MATH]):  # with so few tokens the fused kernels are slower on a CPU
        for step in range(steps):
            if step % each == 0:
                order, lost = torch.randperm(len(pictures), generator=dice), 0.0
            rows = order[step % each * recipe.batch :][: recipe.batch]
            chosen = torch.rand((len(rows), 1, 1, 1), generator=dice) < 1 - step / (recipe.alone * steps)
            seen = torch.where(chosen, pictures.alone[rows], pictures.pixels[rows])
            raw, outline = varied(seen, pictures.outline[rows], dice)
            pixels = normalised(raw, preprocess).contiguous(memory_format=torch.channels_last)
            loss = _loss(pupil, sight, guide, _Lesson(raw, pixels, outline, pictures.labels[rows]), dice)
            lost += _learn(loss, pupil.network, optimisers, paces)
            progress.advance(len(rows))
            if step % each == each - 1:
                progress.note(f"epoch {step // each + 1} of {recipe.epochs}: mean loss {lost / each:.3f}")
    progress.finish()


def _learn(
    loss: Tensor,
    network: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    paces: list[torch.optim.lr_scheduler.LambdaLR],
) -> float:
    """One step down."""
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimiser, pace in zip(optimisers, paces, strict=True):
        optimiser.step()
        optimiser.zero_grad()
        pace.step()
    return float(loss.detach())


def accuracy(pupil: Pupil, pictures: Pictures, preprocess: Preprocess) -> float:
    """Share of pictures it names right."""
    pupil.network.eval()
    right = 0
    with torch.inference_mode():
        for first in range(0, len(pictures), 250):
            pixels, labels = pictures.pixels[first : first + 250], pictures.labels[first : first + 250]
            right += int((pupil.answer(normalised(pixels, preprocess)).argmax(1) == labels).sum())
    return right / len(pictures)
