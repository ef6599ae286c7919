"""A run on disk: what was trained from what, what was measured on the way, and its weights.

<run>/
  run.json              student, recipe, data, cache and teacher, versions; written when the state before step 1 is kept
  metrics.jsonl         one JSON object a line, `kind` says which: train, val, end
  checkpoints/N/        the state after step N, complete or absent (see checkpoint.py)
  best.safetensors      weights of the best validation; without a validation set, the last ones
"""

import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from kdcache.atomic import make_folder, storage_errors, sweep, write_file
from kdcache.errors import Damage, Mismatch, UsageError
from kdcache.held import held
from kdcache.spec import TeacherSpec
from kdcache.store.plan import Dataset, ViewPlan
from kdcache.strict import Strict
from students.models.spec import StudentSpec
from students.newest import RUNS, newest_run
from students.options import StreamMode
from students.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
LATEST = "LATEST"
CHECKPOINTS = "checkpoints"
BEFORE = "00000000"
"""the state before the first step, which a run has as soon as it is one"""


class CacheRecord(Strict):
    """The cache a student was trained from."""

    path: str
    identity: str
    teacher: TeacherSpec
    signals: dict[str, str]
    """signal -> codec"""


class Pacing(Strict):
    """How a training is cut into steps. It is kept because sums over other pieces are not the same to the last bit."""

    steps: int
    steps_an_epoch: int
    micro: int
    """images of a piece: what goes through the network at once, in one process"""
    views: tuple[int, ...] | None
    """stored views in use; None: all, or, where none are stored, a new one every epoch"""
    log_every: int
    validate_every: int
    keep_every: int
    """steps between checkpoints"""


class RunRecord(Strict):
    """Everything that fixes a run."""

    format: int = FORMAT
    kind: Literal["train", "finetune"]
    student: StudentSpec
    recipe: Recipe
    seed: int
    stream: StreamMode
    """off: signals from a cache; on: the teacher runs at every step; none: true classes only"""
    dataset: Dataset
    views: ViewPlan
    """as the teacher saw them, or, without a cache, as they are drawn"""
    cache: CacheRecord | None = None
    val: Dataset | None = None
    """images it is judged on"""
    started_from: str | None = None
    """weights file it began with, and its digest"""
    rejected: int = 0
    """images of the dataset that the cache could not use, in the view with the most of them"""
    new_head: bool = False
    """it began with a fresh classifier"""
    head_rows: str | None = None
    """file of the rows of the old classifier it began with"""
    pacing: Pacing
    processes: int = 1
    versions: dict[str, str]


class Run:
    """A run folder."""

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path, self.record = path, record

    @classmethod
    @contextmanager
    def begun(cls, path: Path, record: RunRecord) -> Iterator[Self]:
        """A new run, which nobody else trains meanwhile. UsageError when there is one already.

        It is none before `write_record`: until then it can be begun anew, and from then on it can be gone on with.
        """
        make_folder(path)
        with held(path, "trained"):
            if (path / "run.json").exists():
                hint = f"go on with it (kd train --resume {shlex.quote(str(path))}), or choose another --out"
                raise UsageError(f"{path} holds a run already", hint=hint)
            if strangers := [kept.name for kept in (path / CHECKPOINTS).glob("[!.]*") if kept.name != BEFORE]:
                message = f"{path} has checkpoints ({', '.join(sorted(strangers)[:3])}) and no run.json"
                raise UsageError(message, hint="bring its run.json back, or choose another --out")
            run = cls(path, record)
            run._sweep()
            yield run

    def write_record(self) -> None:
        """Make it a run. What it goes on from must be kept already."""
        write_file(self.path / "run.json", [json.dumps(self.record.plain(), indent=2).encode() + b"\n"])

    @property
    def exists(self) -> bool:
        """Whether there is something to go on with."""
        return (self.path / "run.json").is_file()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a run; the word LATEST means the one that was started last (newest.py)."""
        path = newest_run() if str(path) == LATEST else Path(path)
        file = path / "run.json"
        if not file.is_file():
            raise UsageError(f"no run in {path}: it has no run.json", hint=near(path))
        with storage_errors(file, "read"):
            raw = file.read_bytes()
        try:
            plain = json.loads(raw)
            if isinstance(plain, dict) and plain.get("format") != FORMAT:
                raise Mismatch(f"{file} has format {plain.get('format')!r}, this version reads {FORMAT}")
            return cls(path, RunRecord.from_plain(plain))
        except ValueError as error:  # of JSON, or of the record
            raise Damage(f"{file} is not a run record", hint="restore it from a copy", path=str(file)) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else trains this run meanwhile; what a killed process left half-written is removed first."""
        with held(self.path, "trained"):
            self._sweep()
            yield

    def _sweep(self) -> None:
        for draft in (self.path / CHECKPOINTS).glob(".*.tmp-*"):
            shutil.rmtree(draft, ignore_errors=True)
        sweep(self.path)

    @property
    def way_on(self) -> str:
        """The command that goes on with the training, by as many processes as it was begun by."""
        count = self.record.processes
        several = f"torchrun --nproc-per-node {count} --no-python " if count > 1 else ""
        return f"{several}kd train --resume {shlex.quote(str(self.path))}"

    @property
    def weights(self) -> Path:
        """The weights to evaluate and export."""
        path = self.path / "best.safetensors"
        if not path.is_file():
            raise UsageError(f"{self.path} has no weights yet", hint=self.way_on)
        return path

    def network(self) -> "nn.Module":
        """The trained student in eval mode, on the CPU."""
        from students.checkpoint import load_tensors
        from students.models import build_student

        tensors = load_tensors(self.weights)
        network = build_student(self.record.student)
        network.load_state_dict(tensors)
        return network.eval()

    def metrics(self) -> list[dict[str, Any]]:
        """What was measured, oldest first; a line that a crash cut short is left out."""
        file = self.path / "metrics.jsonl"
        if not file.is_file():
            return []
        return [told for _, told in lines_of(file)]


def lines_of(file: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """The whole lines of metrics.jsonl, as they stand and as what they tell; Damage where one is no JSON."""
    with storage_errors(file, "read"):
        lines = file.read_bytes().split(b"\n")[:-1]
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append((line, json.loads(line)))
        except ValueError as error:
            way = f"remove that line: sed -i {number}d {shlex.quote(str(file))}"
            raise Damage(f"line {number} of {file} is damaged: {error}", hint=way, path=str(file)) from error
    return found


def near(path: Path) -> str:
    """The way to a run when a path leads to none: those beside it or in ./kd/runs, the most alike first."""
    beside = {run.parent.name: run.parent for root in (RUNS, path.parent) for run in root.glob("*/run.json")}
    names = get_close_matches(path.name, beside, 3, cutoff=0.5) or sorted(beside)[:3]
    if not names:
        return "name the folder of a run; kd train --student tinyvit-5m makes one"
    return f"name the folder of a run; near: {', '.join(str(beside[name]) for name in names)}"


def usual_signals(path: str) -> tuple[str, ...]:
    """What a cache of a run keeps when nobody says: its logits, or, where it names no classes, its embeddings."""
    return ("logits",) if Run.open(path).record.student.classes else ("embedding",)
