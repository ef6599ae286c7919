"""The list of runs: `kd runs list`.

Input: a folder of runs, such as ./kd/runs. Output: one entry for every run in it and for every run started from this folder with
--out, the last started first, so that the first entry is LATEST. A run that cannot be read has an entry with the reason.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from kdcache.base.atomic import storage_errors
from kdcache.base.figures import iso, moment
from kdcache.base.folder_lock import is_locked
from kdcache.errors import KDError, UsageError
from students.runs.kept import checkpoints
from students.runs.metrics import scores_by_step
from students.runs.newest import ELSEWHERE, RUNS, run_records, started
from students.runs.run import Run

State = Literal["running", "done", "stopped"]


@dataclass(frozen=True)
class Progress:
    """Progress and best score of a run."""

    run: Run
    state: State
    """State of the run. `running`: a process is training it; `done`: all steps are taken, or patience ran out;
    `stopped`: it can be resumed."""
    steps: int
    """Number of steps taken, as far as they are logged or checkpointed."""
    best: float | None
    """Best score on the validation images so far, as the run's task measures it; None if there is none yet."""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        record = self.run.record
        return {
            "state": self.state,
            "kind": record.kind,
            "student": record.student.name,
            "size": record.student.input[0],
            "classes": len(record.student.classes),
            "stream": record.stream,
            "data": record.dataset.name,
            "cache": next((cache.path for cache in record.all_caches), None),
            "caches": [cache.path for cache in record.all_caches],
            "steps": self.steps,
            "steps_planned": record.pacing.steps,
            "best": self.best,
        }


@dataclass(frozen=True)
class RunEntry:
    """One folder among the runs."""

    path: Path
    started: datetime | None
    """Time when run.json was written; None if there is none."""
    progress: Progress | None
    """Progress of the run; None if it cannot be read."""
    reason: str | None
    """Reason why the run cannot be read; None if it can."""

    def plain(self) -> dict[str, Any]:
        """As JSON values; for a run that cannot be read, its path and the reason."""
        about = {"path": str(self.path), "name": self.path.name, "started": iso(self.started)}
        rest = {"reason": self.reason} if self.progress is None else self.progress.plain()
        return {**about, "readable": self.progress is not None, **rest}


def list_runs(root: Path = RUNS) -> list[RunEntry]:
    """The runs in a folder and those started from this folder, latest first; folders without run.json come last."""
    try:
        records, broken = run_records(root), []
    except UsageError as error:  # elsewhere.txt cannot be read: list at least the runs in this folder
        records = run_records(root, elsewhere=False)
        broken = [RunEntry(root / ELSEWHERE, None, None, error.message)]
    entries = [_entry(record) for record in sorted(records, key=started, reverse=True)]
    with storage_errors(root, "list"):
        here = sorted(root.iterdir()) if root.is_dir() else []
    known = {record.parent for record in records}
    bare = [path for path in here if path.is_dir() and path.name[0] != "." and path not in known]
    return [*entries, *(RunEntry(path, None, None, f"{path} has no run.json") for path in bare), *broken]


def _entry(record: Path) -> RunEntry:
    when = moment(started(record)[0])
    try:
        return RunEntry(record.parent, when, _progress(Run.open(record.parent)), None)
    except KDError as error:
        return RunEntry(record.parent, when, None, error.message)


def _progress(run: Run) -> Progress:
    lines, kept = run.metrics(), checkpoints(run.path)
    steps = max([line["step"] for line in lines[-1:]] + [int(folder.name) for folder in kept[-1:]], default=0)
    scores = scores_by_step(lines, run.record.recipe.judge.best)
    better = [line["step"] for line in lines if line["kind"] == "val" and line.get("best")]
    best = scores[better[-1]] if better else max(scores.values(), default=None)
    ended = any(line["kind"] == "end" for line in lines[-1:])
    state: State = "running" if is_locked(run.path) else "done" if ended else "stopped"
    return Progress(run, state, steps, best)
