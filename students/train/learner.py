"""The student while it learns: its network, the running average of it, and what changes the two, a step at a time.

Input: the pieces of a step and what was said about them. Output: their losses, and weights that have moved. When steps are
taken, and when the student is judged and kept, is the matter of train.py.
"""

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kdcache.codecs.distribution import Logits
from students.base.machine import World
from students.base.types import INPUTS
from students.judging.network import autocast, normalised
from students.objectives.losses import Losses
from students.objectives.match import match_losses
from students.objectives.soft_labels import Truth, losses
from students.recipe import Match
from students.runs.checkpoint import Parts
from students.train.average import Average
from students.train.feed import Piece, truth_of
from students.train.job import Job
from students.train.optimise import adamw, set_rate
from students.train.synced import synced
from students.train.targets import Said, Telling


class Learner:
    """A network, its average, its optimiser."""

    def __init__(self, job: Job, world: World) -> None:
        self._job, self._world = job, world
        network = job.network.to(world.device).to(memory_format=torch.channels_last)
        together = world.size > 1 and not job.recipe.frozen_norms
        self.network: nn.Module = synced(network, world.device) if together else network
        self.average = Average(self.network, job.recipe.average) if job.recipe.average is not None else None
        self.optimiser = adamw(
            self.network,
            job.recipe.optimiser,
            layer_of=job.layer_of,
            layers=job.layers,
            no_decay=job.no_decay,
            fused=True,
        )
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=job.recipe.precision == "float16")
        self._called = self._as_called()

    def _as_called(self) -> nn.Module:
        """The network as a step calls it: compiled, and averaging gradients over the world, where asked for."""
        called = self.network
        if self._job.compiled:
            called.compile()
        if self._world.size > 1:
            ids = [self._world.device.index] if self._world.device.type == "cuda" else None
            # The last norm of a student of dense targets is in no loss.
            spare = isinstance(self._job.recipe.objective, Match)
            called = DistributedDataParallel(
                called, device_ids=ids, broadcast_buffers=False, find_unused_parameters=spare
            )
        return called

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and exported: the average, where one is kept."""
        return self.network if self.average is None else self.average.network

    @property
    def parts(self) -> Parts:
        """What a checkpoint keeps of it."""
        return Parts(self.network, None if self.average is None else self.average.network, self.optimiser)

    def begin(self) -> None:
        """Training mode, but norms keep their statistics where the recipe says so."""
        self.network.train()
        if self._job.recipe.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def learn(self, piece: Piece, said: Said, telling: Telling) -> tuple[Losses, Tensor]:
        """Add the gradient of one piece -> its losses, and which of its rows count.

        Each image weighs the same, however a step is cut into pieces and processes.
        """
        job, device, called = self._job, self._world.device, self._called
        truth = truth_of(job.scene, piece, telling, device) if job.recipe.objective.truth else None
        seen = self._seen(piece, said)
        # Gradients of all processes are averaged once a step, with its last piece.
        apart = called.no_sync() if isinstance(called, DistributedDataParallel) and not piece.last else nullcontext()
        with apart:
            with autocast(str(device), job.recipe.precision):
                answer = called(seen)
            found = self._compare(answer, said, truth)
            good = torch.from_numpy(piece.good).to(device)
            weight = good.float() * (self._world.size / job.recipe.batch)
            torch.autograd.backward(self.scaler.scale((found.total * weight).sum()))
        return found, good

    def _seen(self, piece: Piece, said: Said) -> Tensor:
        """What goes into the network: the view, or what the shared encoder said of it."""
        if piece.pixels is not None:
            return normalised(piece.pixels, self._job.spec, str(self._world.device))
        tokens = said[INPUTS]
        assert isinstance(tokens, Tensor), "it is no signal of classes"
        return tokens.float()

    def _compare(self, answer: Any, said: Said, truth: Truth | None) -> Losses:
        asked = self._job.recipe.objective
        if isinstance(asked, Match):
            wanted = said[asked.signal]
            assert isinstance(wanted, Tensor), "it is no signal of classes"
            return match_losses(asked, answer, wanted)
        spoken = said.get("logits")  # a connected teacher says them as they are
        return losses(asked, answer, Logits(spoken) if isinstance(spoken, Tensor) else spoken, truth)

    def step(self, number: int) -> tuple[float, Tensor]:
        """Move the weights after the last piece of step `number`, from 0 -> the rate, and the length of the gradient."""
        rate = self._job.pace(number)
        set_rate(self.optimiser, rate)
        self.scaler.unscale_(self.optimiser)
        limit = self._job.recipe.optimiser.clip or math.inf
        grad = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.follow(self.network, number)
        return rate, grad.detach()
