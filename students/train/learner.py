"""Updates the student and the running average of its weights, one step at a time.

Input: the pieces of a step and their targets. Output: losses, and updated weights. loop.py decides when to take a step, to judge
the student and to save it.
"""

import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from students.base.machine import World
from students.judging.network import normalised
from students.runs.checkpoint import Parts
from students.train.average import Average
from students.train.feed import Piece
from students.train.job import Lesson
from students.train.losses import Losses, Step
from students.train.optimise import optimisers
from students.train.synced import synced
from students.train.targets import Signals


class Learner:
    """A network, the average of its weights, and its optimiser."""

    def __init__(self, job: Lesson, world: World) -> None:
        self._job, self._world = job, world
        network = job.network.to(world.device).to(memory_format=torch.channels_last)
        together = world.size > 1 and not job.record.recipe.freezes_norms
        self.network: nn.Module = synced(network, world.device) if together else network
        self.own = job.own.to(world.device)
        for constraint in job.record.recipe.all_constraints:
            constraint.prepare(self.network)
        self.average = (
            Average(self.network, job.record.recipe.average) if job.record.recipe.average is not None else None
        )
        self.optimisers = optimisers(
            job.family.groups(self.network, job.record.student),
            job.record.recipe.optimiser,
            fused=True,
            own=self.own,
            classifier=job.family.classifier,
        )
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=job.record.precision == "float16")
        self._called = self._as_called()

    def _as_called(self) -> nn.Module:
        """The module a step calls: compiled if requested, and averaging gradients if there are several processes."""
        job, ids = self._job, None
        step = Step(self.network, job.record.student, job.record.recipe.losses, self.own, job.record.precision)
        if job.machine.compiled:
            step.trained.compile()
        if self._world.size == 1:
            return step
        if self._world.device.type == "cuda":
            ids = [self._world.device.index]
        return DistributedDataParallel(
            step, device_ids=ids, broadcast_buffers=False, find_unused_parameters=not step.uses_all
        )

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and exported: the average, if one is kept."""
        return self.network if self.average is None else self.average.network

    @property
    def parts(self) -> Parts:
        """Everything that a checkpoint stores."""
        average = None if self.average is None else self.average.network
        return Parts(self.network, average, self.optimisers.each, self.own, self._job.record.recipe.all_constraints)

    def begin(self) -> None:
        """Set training mode, except for modules that constraints freeze."""
        self.network.train()
        for constraint in self._job.record.recipe.all_constraints:
            constraint.before_step(self.network)

    def learn(self, piece: Piece, signals: Signals) -> tuple[Losses, Tensor]:
        """Add the gradient of one piece; returns its losses, and which of its examples count.

        Each example has the same weight, however a step is divided into pieces and among processes.
        """
        job, device, called = self._job, self._world.device, self._called
        truths = piece.truths_on(device)
        pixels = None if piece.pixels is None else normalised(piece.pixels, job.record.student, str(device))
        batch = job.family.batch(pixels, signals, truths, job.record.student)
        # Gradients are averaged over processes once per step, with its last piece.
        apart = called.no_sync() if isinstance(called, DistributedDataParallel) and not piece.last else nullcontext()
        with apart:
            losses = Losses(*called(batch, signals, truths, str(device)))
            good = torch.from_numpy(piece.good).to(device)
            weight = good.float() * (self._world.size / job.record.recipe.batch)
            torch.autograd.backward(self.scaler.scale((losses.total * weight).sum()))
        return losses, good

    def step(self, number: int) -> tuple[float, Tensor]:
        """Update the weights after the last piece of step `number`, from 0; returns learning rate and gradient norm."""
        rate = self._job.pace(number)
        self.optimisers.set_rate(rate)
        for optimiser in self.optimisers.each:
            self.scaler.unscale_(optimiser)
        limit = self._job.record.recipe.optimiser.clip or math.inf
        grad = nn.utils.clip_grad_norm_([*self.network.parameters(), *self.own.parameters()], limit)
        self.optimisers.step(self.scaler)
        for constraint in self._job.record.recipe.all_constraints:
            constraint.after_step(self.network, number)
        if self.average is not None:
            self.average.follow(self.network, number)
        return rate, grad.detach()
