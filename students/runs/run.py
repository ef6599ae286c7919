"""A run on disk: its record, its measurements and its weights.

<run>/
  run.json              student, recipe, data, cache and teacher, versions; written after the checkpoint before step 1
  metrics.jsonl         one JSON object a line, `kind` says which: train, val, end
  checkpoints/N/        the state after step N, complete or absent (see checkpoint.py)
  best.safetensors      weights with the best validation score; without validation, the latest ones
"""

import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kdcache.base.atomic import make_folder, sweep, write_file
from kdcache.base.folder_lock import locked_folder
from kdcache.base.foreign import refuse_links
from kdcache.base.plain_json import read_json
from kdcache.errors import Mismatch, UsageError
from students.runs.metrics import read_metrics
from students.runs.newest import RUNS, newest_run
from students.runs.record import FORMAT, RunRecord

if TYPE_CHECKING:
    from torch import nn

LATEST = "LATEST"
WEIGHTS = "best.safetensors"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
BEFORE = "00000000"
"""Folder name of the checkpoint before the first step, which every run has from its start."""
OWN = ("run.json", METRICS, CHECKPOINTS, "evals", WEIGHTS, "lock", "tensorboard", "wandb")
"""Names of all files and folders in a run's folder."""
RESTORE = "restore it from a copy"


class Run:
    """A run folder."""

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path, self.record = path, record

    @classmethod
    @contextmanager
    def begun(cls, path: Path, record: RunRecord) -> Iterator[Self]:
        """A new, locked run. Raises UsageError if the folder already holds one.

        Until `write_record` the folder is no run and can be used for a new one; from then on the run can be resumed.
        """
        make_folder(path)
        _refuse_links(path)
        with locked_folder(path, "trained"):
            if (path / "run.json").exists():
                hint = f"resume it (kd train --resume {shlex.quote(str(path))}), or choose another --out"
                raise UsageError(f"{path} holds a run already", hint=hint)
            if strangers := [kept.name for kept in (path / CHECKPOINTS).glob("[!.]*") if kept.name != BEFORE]:
                message = f"{path} has checkpoints ({', '.join(sorted(strangers)[:3])}) and no run.json"
                raise UsageError(message, hint="bring its run.json back, or choose another --out")
            run = cls(path, record)
            run._sweep()
            yield run

    def write_record(self) -> None:
        """Write run.json, which makes the folder a run. The first checkpoint must have been written before."""
        write_file(self.path / "run.json", [json.dumps(self.record.plain(), indent=2).encode() + b"\n"])

    @property
    def exists(self) -> bool:
        """Whether the run can be resumed."""
        return (self.path / "run.json").is_file()

    @classmethod
    def open(cls, name: Path | str) -> Self:
        """Open a run by its folder, its name in ./kd/runs, or the word LATEST: the one started last (newest.py)."""
        path = find_run(name)
        file = path / "run.json"
        if not file.is_file():
            raise UsageError(f"no run in {path}: it has no run.json", hint=near(path))
        _refuse_links(path)
        plain = read_json(file, hint=RESTORE)
        if isinstance(plain, dict) and plain.get("format") != FORMAT:
            raise Mismatch(f"{file} has format {plain.get('format')!r}, this version reads {FORMAT}")
        return cls(path, RunRecord.from_content(plain, file, what="a run record", hint=RESTORE))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run against other trainings, then remove half-written files of a killed process."""
        with locked_folder(self.path, "trained"):
            self._sweep()
            yield

    def _sweep(self) -> None:
        for draft in (self.path / CHECKPOINTS).glob(".*.tmp-*"):
            shutil.rmtree(draft, ignore_errors=True)
        sweep(self.path)

    @property
    def way_on(self) -> str:
        """The command that resumes the training, with the original number of processes."""
        count = self.record.processes
        several = f"torchrun --nproc-per-node {count} --no-python " if count > 1 else ""
        return f"{several}kd train --resume {shlex.quote(str(self.path))}"

    @property
    def weights(self) -> Path:
        """The weights to evaluate and export."""
        path = self.path / WEIGHTS
        if not path.is_file():
            raise UsageError(f"{self.path} has no weights yet", hint=self.way_on)
        return path

    def network(self) -> "nn.Module":
        """The trained student in eval mode, on the CPU."""
        from kdcache.base.tensors import load_exact
        from students.families.registry import build_student
        from students.runs.checkpoint import load_tensors

        tensors, spec = load_tensors(self.weights), self.record.student
        network = build_student(spec)
        hint = "these are weights of another student: bring the run back from a copy"
        load_exact(network, tensors, source=str(self.weights), what=spec.name, hint=hint)
        return network.eval()

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, oldest first; one cut short by a crash is left out."""
        file = self.path / METRICS
        return read_metrics(file) if file.exists() else []


def _refuse_links(run: Path) -> None:
    """Refuse links: all files of a run must be in its own folder."""
    refuse_links(
        (run / name for name in OWN),
        hint="replace the link by the file it points to: a run's files must be in its own folder",
    )


def find_run(name: Path | str) -> Path:
    """Path of a run: the path itself, ./kd/runs/NAME for a bare name, or the run started last for LATEST."""
    if str(name) == LATEST:
        return newest_run()
    path = Path(name)
    bare = len(path.parts) == 1 and not path.exists()
    return RUNS / path if bare and (RUNS / path / "run.json").is_file() else path


def near(path: Path) -> str:
    """Hint for a path that is no run: runs with similar names, beside it and in ./kd/runs."""
    beside = {run.parent.name: run.parent for root in (RUNS, path.parent) for run in root.glob("*/run.json")}
    names = get_close_matches(path.name, beside, 3, cutoff=0.5) or sorted(beside)[:3]
    if not names:
        return "name the folder of a run; kd train --student tinyvit-5m makes one"
    return f"name the folder of a run, such as {', '.join(str(beside[name]) for name in names)}"


def teacher_run(name: str, weights: str | None) -> Run:
    """The run of `--teacher run:NAME`; `weights`: its new location, if it has moved."""
    if weights == "random":
        raise UsageError("a run has its own weights", hint="leave --weights out, or give the folder of the run")
    if weights is not None and name == LATEST:
        hint = f"leave --weights out, or give the name of the run: --teacher run:NAME --weights {shlex.quote(weights)}"
        raise UsageError(f"run:{LATEST} and --weights {weights} may be two runs", hint=hint)
    try:
        return Run.open(weights or name)
    except UsageError as error:
        if weights is None:
            error.hint = f"if the run has moved: --weights RUN; otherwise {error.hint}"
        raise


def usual_signals(name: str, weights: str | None = None) -> tuple[str, ...]:
    """Signals that a cache of a run keeps by default: the first head of its student that can be stored."""
    import torch

    from students.families.registry import build_student, heads

    spec = teacher_run(name, weights).record.student
    with torch.device("meta"):
        found = heads(spec, build_student(spec))
    return tuple(name for name, head in found.items() if head.signal)[:1]
