"""The training loop, the same for off-stream training, on-stream training and true classes.

Input: a job (everything decided and checked beforehand), its run folder, the processes of the training. Output: weights,
checkpoints and metrics in the run. Randomness in a step depends only on (seed, step, rank), so that a training that is stopped
and resumed equals one that was not stopped.
"""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch

from kdcache.base.dice import Dice
from kdcache.base.figures import plural
from kdcache.base.progress import Progress
from kdcache.errors import Damage
from students.base.machine import World
from students.base.task import Measure
from students.judging.while_training import Validation
from students.runs.checkpoint import State, load_checkpoint, save_checkpoint, save_tensors
from students.runs.run import Run
from students.train.feed import Feed, Piece
from students.train.interrupts import Interrupted, watching
from students.train.job import Job
from students.train.learner import Learner
from students.train.log import OUTSIDE, Log
from students.train.losses import part_names
from students.train.room import check_room
from students.train.targets import EpochTargets
from students.train.trackers import trackers

Ended = Literal["done", "patience", "steps"]
CHECK_EVERY = 10
"""Steps between checks of whether any process received a signal: every check waits for the slowest process."""
_NOISE = 0x57E9_0001
"""Key that makes the random numbers of a step differ from those for other purposes."""


@dataclass(frozen=True)
class Outcome:
    """Result of a training."""

    ended: Ended
    state: State
    validation: list[dict[str, Any]]
    """Lines of the last validation, one per set; empty if the student was not judged."""
    score: float | None
    """Score that selects the best weights: that of one set, or the mean."""
    measure: Measure
    """Name and unit of the score."""
    unreadable: int
    """Number of images that this process could not read."""


def train(job: Job, run: Run, world: World, progress: Progress, *, resume: bool = False) -> Outcome:
    """Train until all steps are taken, patience runs out, or step `stop_at` of the machine options is reached."""
    with ExitStack() as stack:
        feed = stack.enter_context(job.feed())
        judge = stack.enter_context(job.judge()) if job.judge is not None and world.first else None
        tracked = stack.enter_context(trackers(job.machine.trackers if world.first else (), run))
        log = Log(run, world, part_names(job.record.recipe), tracked, timed=job.machine.timed)
        interrupted = stack.enter_context(watching())
        training = Training(job, run, world, progress, judge, log)
        if resume:
            training.resume()
        else:
            training.begin()
        return training.go(feed, interrupted)


class Training:
    """A training in progress."""

    def __init__(
        self, job: Job, run: Run, world: World, progress: Progress, judge: Validation | None, log: Log
    ) -> None:
        self.job, self.run, self.world, self.progress, self.judge = job, run, world, progress, judge
        self.learner = Learner(job, world)
        self.state = State()
        self.log = log
        self.validation: list[dict[str, Any]] = []
        self.score: float | None = None
        self.before = 0.0
        self.started = time.perf_counter()

    def begin(self) -> None:
        """Save the state before the first step, which makes the folder a run that can be resumed."""
        self._check_room()
        self._keep()
        if self.world.first:
            self.run.write_record()
        self.world.wait()

    def _check_room(self) -> None:
        if self.world.first:
            check_room(self.run.path, self.learner.parts, self.job.record.pacing)

    def resume(self) -> None:
        """Load the newest checkpoint."""
        self.state = load_checkpoint(self.run.path, self.learner.parts)
        sums = self._sums()
        self.learner.scaler.load_state_dict(self.state.scaler)
        self._check_room()
        self.before = self.state.seconds
        self.log.rewind(self.state.step, sums)
        step = f"step {self.state.step:,} of {self.job.record.pacing.steps:,}"
        over = self._over() in ("done", "patience")
        self.progress.note(f"finished already, at {step}" if over else f"resuming from {step}")

    def _sums(self) -> dict[str, float]:
        """The running sums of the loaded state. Raises Damage if this training cannot be in such a state."""
        state, pacing = self.state, self.job.record.pacing
        counted = (state.epoch, state.at) == divmod(state.step, pacing.steps_an_epoch) and state.step <= pacing.steps
        sums = state.sums(part_names(self.job.record.recipe))
        if not counted or sums is None or bool(state.scaler) != self.learner.scaler.is_enabled():
            place = f"step {state.step:,}, place {state.at:,} of epoch {state.epoch:,}"
            what = f"the newest checkpoint of {self.run.path} is at {place}: not a state of this training"
            raise Damage(what, hint="start a new run with another --out")
        return sums

    def go(self, feed: Feed, interrupted: Interrupted) -> Outcome:
        """Train from the present state to the end."""
        job, state = self.job, self.state
        self.progress.start(
            "train", job.record.pacing.steps * job.record.recipe.batch, state.step * job.record.recipe.batch
        )
        self.learner.begin()
        ended = self._over()
        while ended is None:
            epoch = job.targets.epoch(state.epoch, state.at)
            for pieces in steps_of(feed.pieces(epoch, state.at)):
                self._step(pieces, epoch)
                ended = self._after_step(interrupted)
                if ended or state.at == 0:
                    break
        self._end(ended)
        if feed.unreadable:
            image_id, reason = next(iter(feed.unreadable.items()))
            left = plural(len(feed.unreadable), "image")
            self.progress.warn(f"{left} could not be read and had no weight in training, such as {image_id}: {reason}")
        return Outcome(ended, state, self.validation, self.score, job.measure, len(feed.unreadable))

    def _step(self, pieces: Iterator[Piece], epoch: EpochTargets) -> None:
        """Take one step, over all its pieces."""
        job, state, log = self.job, self.state, self.log
        torch.manual_seed(Dice(job.record.seed, state.step, self.world.rank, _NOISE).word() >> 1)  # it takes 63 bits
        with log.lap("waiting"):
            piece = next(pieces, None)
        assert piece is not None, "an epoch has as many steps as were counted beforehand"
        while piece is not None:
            with log.lap(job.targets.stage):
                signals = epoch.signals_of(piece.span, piece.shown)
            with log.lap("student"):
                log.add(*self.learner.learn(piece, signals))
            with log.lap("waiting"):
                piece = next(pieces, None)
        with log.lap("optimiser"):
            log.rate, log.grad = self.learner.step(state.step)

    def _after_step(self, interrupted: Interrupted) -> Ended | None:
        """Count, log, validate and save; returns why the training ends, or None."""
        job, state, pacing = self.job, self.state, self.job.record.pacing
        state.step += 1
        self.log.step()
        state.epoch, state.at = divmod(state.step, pacing.steps_an_epoch)
        state.images += job.record.recipe.batch
        state.seconds = self.before + time.perf_counter() - self.started
        self.progress.advance(job.record.recipe.batch)
        over = state.step >= pacing.steps
        if over or state.step % pacing.log_every == 0:
            self.progress.aside(self.log.write(state, self.epochs))
        with self.log.lap(OUTSIDE):
            tired = (over or state.step % pacing.validate_every == 0) and self._validate()
        stop = job.machine.stop_at is not None and state.step >= job.machine.stop_at
        signalled = (self.world.size == 1 or state.step % CHECK_EVERY == 0) and self.world.any(interrupted.here)
        if over or tired or stop or signalled or state.step % pacing.keep_every == 0:
            with self.log.lap(OUTSIDE):
                self._keep()
        if signalled:
            self.progress.finish()
            self.progress.note(f"saved step {state.step:,}")  # how to resume is said at the end
            interrupted.go_on()
        return "done" if over else "patience" if tired else "steps" if stop else None

    def _over(self) -> Ended | None:
        """Why no further step is needed; None if there is one to take."""
        pacing, patience = self.job.record.pacing, self.job.record.recipe.patience
        if self.state.step >= pacing.steps:
            return "done"
        if patience is not None and self.state.worse >= patience:
            return "patience"
        return "steps" if self.job.machine.stop_at is not None and self.state.step >= self.job.machine.stop_at else None

    def _validate(self) -> bool:
        """Judge the student and save the best weights; without validation images, the latest. True when patience ran out."""
        state = self.state
        better, score = True, math.nan
        if self.job.judge is not None:
            if self.judge is not None:
                score = self._judge(self.judge)
            score = self.world.same(score)
            better = self._better(score)
            state.best = score if better else state.best
            state.worse = 0 if better else state.worse + 1
        if better and self.world.first:
            save_tensors(self.run.path / "best.safetensors", self.learner.judged.state_dict())
        return self.job.record.recipe.patience is not None and state.worse >= self.job.record.recipe.patience

    def _judge(self, judge: Validation) -> float:
        state = self.state
        self.progress.finish()
        device, precision = str(self.world.device), self.job.record.precision
        judged = judge.judge(self.learner.judged, device, precision, self.progress)
        place = {"step": state.step, "epoch": self.epochs, "seconds": round(state.seconds, 3)}
        self.validation = [
            {"kind": "val", **place, **line, "best": self._better(judged.score)} for line in judged.lines
        ]
        for line in self.validation:
            self.log.append(line)
        self.score = judged.score
        self.progress.note(f"step {state.step:,}: {judged.text}")
        total = self.job.record.pacing.steps * self.job.record.recipe.batch
        self.progress.start("train", total, state.step * self.job.record.recipe.batch)
        self.learner.begin()
        return judged.score

    def _better(self, score: float) -> bool:
        best = self.state.best
        return best is None or self.job.measure.better(score, best)

    @property
    def epochs(self) -> float:
        """Number of passes over the images so far."""
        return self.state.step / self.job.record.pacing.steps_an_epoch

    def _keep(self) -> None:
        self.state.scaler = self.learner.scaler.state_dict()
        self.state.pending = self.log.pending() if self.state.step else {}
        if self.world.first:
            save_checkpoint(self.run.path, self.state, self.learner.parts)
            self._keep_weights()
        self.world.wait()

    def _keep_weights(self) -> None:
        """Save the present weights if there are no best ones yet and a step was taken."""
        if self.state.step and not (self.run.path / "best.safetensors").exists():
            save_tensors(self.run.path / "best.safetensors", self.learner.judged.state_dict())

    def _end(self, ended: Ended) -> None:
        self.progress.finish()
        state = self.state
        if self.world.first:
            self._keep_weights()
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
    """Groups pieces by step; all pieces of a step must be consumed before the next step is requested."""

    def one_step() -> Iterator[Piece]:
        for piece in pieces:
            yield piece
            if piece.last:
                return

    while True:
        yield one_step()
