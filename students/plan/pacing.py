"""How a training is divided: steps, pieces of a step, and when it logs, validates and saves.

Input: options and a recipe. Output: a Pacing.
"""

import math

from kdcache.errors import UsageError
from students.options import MachineOptions, TrainOptions
from students.recipe import Recipe
from students.runs.record import Pacing

CPU_PIXELS = 64 * 224**2
"""Pixels of a forward pass on a CPU."""


def default_piece(sees: tuple[int, int], where: MachineOptions) -> int:
    """Most images in a forward pass: on a CPU as many as 64 images of 224 pixels, up to four times that many small ones."""
    if not where.on_cpu:
        return 256
    fit = CPU_PIXELS // (sees[0] * sees[1])
    return min(256, max(64, 1 << (fit.bit_length() - 1)))


def pacing_of(options: TrainOptions, recipe: Recipe, usable: int, unit: str, processes: int, piece: int) -> Pacing:
    """The pacing of a training. `usable`: number of examples, each one of `unit`, such as images.

    `piece`: most images in a forward pass.
    """
    if recipe.batch % processes:
        raise UsageError(
            f"a batch of {recipe.batch} cannot be divided among {processes} processes",
            hint="choose a multiple with --batch",
        )
    epoch = usable // recipe.batch
    if not epoch:
        raise UsageError(
            f"{usable:,} {unit} are less than one batch of {recipe.batch:,}",
            hint=f"--batch {max(1, 2 ** int(math.log2(max(1, usable // 4))))}, or another --recipe",
        )
    steps = options.steps or recipe.steps or max(1, round((recipe.epochs or 0) * epoch))
    return Pacing(
        steps=steps,
        steps_an_epoch=epoch,
        micro=options.micro or min(recipe.batch // processes, piece),
        views=options.views,
        log_every=options.log_every or max(1, min(50, steps // 20)),
        validate_every=options.validate_every or recipe.judge.every or max(epoch, -(-steps // 20)),
        keep_every=options.keep_every or max(1, min(epoch, 1000)),
    )
