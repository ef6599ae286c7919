"""The training loop: pieces of views come in, a student goes out. One loop for off-stream, on-stream and true classes.

Input: a job (everything decided and checked beforehand), its run folder, the world. Output: weights, checkpoints and
metrics in the run. What is random in a step depends on (seed, step, rank) alone: a training that was stopped goes on as if it
had not been.
"""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from kdcache.dice import Dice
from kdcache.progress import Progress
from students.average import Average
from students.checkpoint import Parts, State, load_checkpoint, save_checkpoint, save_tensors
from students.feed import Feed, Piece, truth_of
from students.job import Job
from students.log import APART, Log
from students.objectives.soft_labels import losses
from students.optimise import adamw, set_rate
from students.runs import Run
from students.signs import Interrupted, watching
from students.tasks.classify import judge
from students.tasks.pictures import Pictures, autocast, normalised
from students.tellers import Telling
from students.trackers import trackers
from students.world import World, synced

Ended = Literal["done", "patience", "steps"]
_NOISE = 0x57E9_0001
"""purpose of the random words of a step"""


@dataclass(frozen=True)
class Outcome:
    """What came of a training."""

    ended: Ended
    state: State
    validation: dict[str, Any] | None
    """the last one"""


def train(job: Job, run: Run, world: World, progress: Progress, *, resume: bool = False) -> Outcome:
    """Train until all steps are taken, patience ends, or `job.stop_at`."""
    with ExitStack() as stack:
        feed = stack.enter_context(job.feed())
        pictures = stack.enter_context(job.pictures()) if job.pictures is not None and world.first else None
        log = Log(run, world, stack.enter_context(trackers(job.trackers if world.first else (), run)), timed=job.timed)
        interrupted = stack.enter_context(watching())
        training = Training(job, run, world, progress, pictures, log)
        if resume:
            training.resume()
        return training.go(feed, interrupted)


class Training:
    """A training in progress."""

    def __init__(
        self, job: Job, run: Run, world: World, progress: Progress, pictures: Pictures | None, log: Log
    ) -> None:
        self.job, self.run, self.world, self.progress, self.pictures = job, run, world, progress, pictures
        # torch's stubs know no memory_format here.
        network = job.network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = (
            synced(network, world.device) if world.size > 1 and not job.recipe.frozen_norms else network
        )
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
        self.state = State()
        self.log = log
        self.validation: dict[str, Any] | None = None
        self.before = 0.0
        self.started = time.perf_counter()
        self.learner = self._learner()

    def _learner(self) -> nn.Module:
        """The network as the loop calls it: compiled, and averaging gradients over the world, where asked for."""
        learner = self.network
        if self.job.compiled:
            learner.compile()
        if self.world.size > 1:
            ids = [self.world.device.index] if self.world.device.type == "cuda" else None
            learner = DistributedDataParallel(learner, device_ids=ids, broadcast_buffers=False)
        return learner

    def resume(self) -> None:
        """Go on from the newest checkpoint."""
        self.state = load_checkpoint(self.run.path, self._parts)
        if self.state.scaler:
            self.scaler.load_state_dict(dict(self.state.scaler))
        self.before = self.state.seconds
        self.log.rewind(self.state.step, self.state.pending)
        self.progress.note(f"going on from step {self.state.step:,} of {self.job.pacing.steps:,}")

    def go(self, feed: Feed, interrupted: Interrupted) -> Outcome:
        """Epoch by epoch, step by step."""
        job, state = self.job, self.state
        self.progress.start("train", job.pacing.steps * job.recipe.batch, state.step * job.recipe.batch)
        self._mode()
        ended = self._over()
        while ended is None:
            telling = job.teller.epoch(state.epoch, state.at)
            for pieces in steps_of(feed.pieces(telling, state.at)):
                self._step(pieces, telling)
                ended = self._after_step(interrupted)
                if ended or state.at == 0:
                    break
        self._end(ended)
        return Outcome(ended, state, self.validation)

    def _step(self, pieces: Iterator[Piece], telling: Telling) -> None:
        """One step over all its pieces."""
        job, state, log = self.job, self.state, self.log
        noise = Dice(job.seed, state.step, self.world.rank, _NOISE).word() >> 1
        torch.manual_seed(noise)
        with log.lap("waiting"):
            piece = next(pieces, None)
        assert piece is not None, "an epoch has as many steps as were counted beforehand"
        while piece is not None:
            with log.lap(job.teller.stage):
                said = telling.tell(piece.span, piece.shown)
            with log.lap("student"):
                self._learn(piece, said, telling)
            with log.lap("waiting"):
                piece = next(pieces, None)
        with log.lap("optimiser"):
            rate = job.pace(state.step)
            set_rate(self.optimiser, rate)
            self.scaler.unscale_(self.optimiser)
            limit = job.recipe.optimiser.clip or math.inf
            grad = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
            self.scaler.step(self.optimiser)
            self.scaler.update()
            self.optimiser.zero_grad()
            if self.average is not None:
                self.average.follow(self.network, state.step)
        log.rate, log.grad = rate, grad.detach()

    def _learn(self, piece: Piece, said: Any, telling: Telling) -> None:
        """Add the gradient of one piece. Each image weighs the same, however a step is cut into pieces and processes."""
        job, device = self.job, self.world.device
        truth = truth_of(job.scene, piece, telling, device) if job.recipe.objective.hard else None
        pixels = normalised(piece.pixels, job.spec, str(device))
        learner = self.learner
        # Gradients of all processes are averaged once a step, with its last piece.
        apart = learner.no_sync() if isinstance(learner, DistributedDataParallel) and not piece.last else nullcontext()
        with apart:
            with autocast(str(device), job.recipe.precision):
                logits = learner(pixels)
            found = losses(job.recipe.objective, logits, said, truth)
            good = torch.from_numpy(piece.good).to(device)
            weight = good.float() * (self.world.size / job.recipe.batch)
            torch.autograd.backward(self.scaler.scale((found.total * weight).sum()))
        self.log.add(found.total, found.soft, found.hard, good)

    def _after_step(self, interrupted: Interrupted) -> Ended | None:
        """Count, log, validate, keep; says whether the training is over."""
        job, state, pacing = self.job, self.state, self.job.pacing
        state.step += 1
        self.log.step()
        state.epoch, state.at = divmod(state.step, pacing.steps_an_epoch)
        state.images += job.recipe.batch
        state.seconds = self.before + time.perf_counter() - self.started
        self.progress.advance(job.recipe.batch)
        over = state.step >= pacing.steps
        if over or state.step % pacing.log_every == 0:
            self.progress.aside(self.log.write(state, self.epochs))
        with self.log.lap(APART):
            tired = (over or state.step % pacing.validate_every == 0) and self._validate()
        stop = job.stop_at is not None and state.step >= job.stop_at
        signalled = self.world.any(interrupted.here) if self.world.size == 1 or state.step % 10 == 0 else False
        if over or tired or stop or signalled or state.step % pacing.keep_every == 0:
            with self.log.lap(APART):
                self._keep()
        if signalled:
            self.progress.finish()
            self.progress.note(f"kept step {state.step:,}; go on with: kd train --resume {self.run.path}")
            interrupted.go_on()
        return "done" if over else "patience" if tired else "steps" if stop else None

    def _over(self) -> Ended | None:
        """How a training ended that was finished before; None while there is something to do."""
        pacing, patience = self.job.pacing, self.job.recipe.patience
        if self.state.step >= pacing.steps:
            return "done"
        return "patience" if patience is not None and self.state.worse >= patience else None

    def _validate(self) -> bool:
        """Judge the student; True when patience has ended. Without validation images the last weights are the best."""
        state = self.state
        better, top1 = True, math.nan
        if self.job.pictures is not None:
            if self.pictures is not None:
                top1 = self._judge(self.pictures)
            top1 = self.world.same(top1)
            better = state.best is None or top1 > state.best
            state.best = top1 if better else state.best
            state.worse = 0 if better else state.worse + 1
        if better and self.world.first:
            save_tensors(self.run.path / "best.safetensors", self._judged.state_dict())
        return self.job.recipe.patience is not None and state.worse >= self.job.recipe.patience

    def _judge(self, pictures: Pictures) -> float:
        state = self.state
        self.progress.finish()
        device, precision = str(self.world.device), self.job.recipe.precision
        report = judge(self._judged, pictures, device=device, precision=precision, progress=self.progress)
        line = {"top1": report.top1, "top5": report.top5, "loss": report.loss, "images": report.images}
        place = {"step": state.step, "epoch": self.epochs, "seconds": round(state.seconds, 3)}
        self.validation = {"kind": "val", **place, **line, "best": state.best is None or report.top1 > state.best}
        self.log.append(self.validation)
        self.progress.note(f"step {state.step:,}: top-1 {report.top1:.1%}, top-5 {report.top5:.1%}")
        total = self.job.pacing.steps * self.job.recipe.batch
        self.progress.start("train", total, state.step * self.job.recipe.batch)
        self._mode()
        return report.top1

    @property
    def epochs(self) -> float:
        """Passes over the images so far."""
        return self.state.step / self.job.pacing.steps_an_epoch

    @property
    def _judged(self) -> nn.Module:
        return self.network if self.average is None else self.average.network

    @property
    def _parts(self) -> Parts:
        return Parts(self.network, None if self.average is None else self.average.network, self.optimiser)

    def _mode(self) -> None:
        """Training mode, but norms keep their statistics where the recipe says so."""
        self.network.train()
        if self.job.recipe.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def _keep(self) -> None:
        if self.scaler.is_enabled():
            self.state.scaler = self.scaler.state_dict()
        self.state.pending = self.log.pending()
        if self.world.first:
            save_checkpoint(self.run.path, self.state, self._parts)
            if not (self.run.path / "best.safetensors").exists():
                save_tensors(self.run.path / "best.safetensors", self._judged.state_dict())
        self.world.wait()

    def _end(self, ended: Ended) -> None:
        self.progress.finish()
        state = self.state
        if ended != "steps":
            self.log.append(
                {
                    "kind": "end",
                    "step": state.step,
                    "epoch": self.epochs,
                    "seconds": round(state.seconds, 3),
                    "stopped": ended,
                }
            )


def steps_of(pieces: Iterator[Piece]) -> Iterator[Iterator[Piece]]:
    """Pieces step by step; each step's must be used up before the next is asked for."""

    def one_step() -> Iterator[Piece]:
        for piece in pieces:
            yield piece
            if piece.last:
                return

    while True:
        yield one_step()
