"""Starts or resumes a training, for the command line and the Python functions."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from kdcache.base.notes import Note
from kdcache.base.progress import Progress, Silent
from kdcache.errors import Locked, Mismatch, OutOfMemory, StorageError, UsageError
from students.base.machine import joined
from students.options import MachineOptions, TrainOptions
from students.plan.opened import inputs_again
from students.plan.plan import plan_run
from students.runs.newest import RUNS, remember_run
from students.runs.record import RunRecord
from students.runs.run import Run
from students.train.job import make_job
from students.train.loop import Outcome, train

_NAME = 150
"""Longest name of a run, in characters."""


@dataclass(frozen=True)
class Finished:
    """A run and the result of its training."""

    run: Run
    outcome: Outcome
    first: bool
    """Whether this is the process that prints and writes files."""
    notes: tuple[Note, ...] = ()
    """Notes of the plan for the user."""


def start(options: TrainOptions, where: MachineOptions, progress: Progress) -> Finished:
    """Plan a new run and train it."""
    with joined(where.device) as world:
        progress = progress if world.first else Silent()
        progress.doing("listing the images")
        planned = plan_run(options, where, world.size)
        for note in planned.notes:
            progress.note(note.text)
        for warning in planned.warnings:
            progress.warn(warning)
        job = make_job(planned.record, planned.inputs, where, world, progress)
        with begun(options.out, planned.record) if world.first else nullcontext(Run(Path(), planned.record)) as run:
            world.wait()
            progress.note(f"training {run.path}")
            with _way_on(run):
                outcome = train(job, run, world, progress)
                return Finished(run, outcome, world.first, planned.notes)


def go_on(path: Path, where: MachineOptions, progress: Progress) -> Finished:
    """Resume a run from its newest checkpoint."""
    with joined(where.device) as world:
        progress = progress if world.first else Silent()
        run = Run.open(path)
        if world.size != run.record.processes:
            raise Mismatch(
                f"{run.path} was started with {run.record.processes} processes, and cannot be resumed with {world.size}",
                hint=run.way_on,
            )
        progress.doing("listing the images")
        inputs = inputs_again(run.record, where, world)
        job = make_job(run.record, inputs, where, world, progress, fresh=False)
        with _way_on(run), run.locked() if world.first else nullcontext():
            return Finished(run, train(job, run, world, progress, resume=True), world.first)


@contextmanager
def _way_on(run: Run) -> Iterator[None]:
    """Adds the command that resumes the run to an interruption or a storage error, if the run can be resumed."""
    try:
        yield
    except (KeyboardInterrupt, StorageError) as stop:
        if run.exists:
            if isinstance(stop, OutOfMemory):
                stop.hint = f"{stop.hint}; resume the run with: {run.way_on}"
            elif isinstance(stop, StorageError):
                stop.hint = f"when {stop.details.get('path', run.path)} can be written again: {run.way_on}"
            else:
                stop.add_note(run.way_on)
        raise


@contextmanager
def begun(out: Path | None, record: RunRecord) -> Iterator[Run]:
    """A new run in the folder `out`, or in `kd/runs/STUDENT-DATA`, with a number if another run has that name."""
    with ExitStack() as stack:
        if out is None:
            yield _named(record, stack)
        else:
            run = stack.enter_context(Run.begun(out, record))
            remember_run(run.path)
            yield run


def _named(record: RunRecord, stack: ExitStack) -> Run:
    words = f"{record.student.name}-{record.dataset.name}"[:_NAME]
    name = "".join(letter if letter.isprintable() and letter not in "/:" else "-" for letter in words)
    for number in count(1):
        path = RUNS / (name if number == 1 else f"{name}-{number}")
        try:
            return stack.enter_context(Run.begun(path, record))
        except Locked:
            continue  # another process is just starting a run of this name
        except UsageError:
            if not os.path.isdir(path):  # the name is free, so the error has another cause
                raise
    raise AssertionError("unreachable: count() does not end")
