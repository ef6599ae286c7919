"""Evaluations of a run on disk: <run>/evals/NAME.json, one file per task and dataset, with the digest of the judged weights.

The digest shows whether the run has other weights by now; the field `task` of a report selects the class that reads it.
"""

import json
import re
from pathlib import Path
from typing import Any

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.digest import file_sha256, json_digest
from kdcache.base.plain_json import read_json
from kdcache.base.strict import Strict
from kdcache.errors import Damage
from students.base.task import Shown, Task
from students.judging.registry import TASKS
from students.runs.run import Run

_NAME = 100
"""Longest file name of an evaluation, in characters, without its ending."""
_AGAIN = "remove it and run kd eval again"


class Evaluation(Strict):
    """A report, and the weights that were judged."""

    weights_sha256: str
    report: Any
    """Report of the task that was run."""

    @property
    def task(self) -> Task[Any]:
        """The task that made the report."""
        return TASKS.get(self.report.task)

    @property
    def shown(self) -> Shown:
        """The report, ready to be shown."""
        return self.task.show(self.report)


def read_evaluations(run: Run) -> dict[str, Evaluation]:
    """All evaluations of a run by name."""
    return {path.stem: _read(path) for path in sorted((run.path / "evals").glob("*.json"))}


def keep(run: Run, task: Task[Any], report: Any) -> Path:
    """Store a report in place of an earlier one about the same subject; returns its path."""
    subject = task.subject(report)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{task.name}-{subject['data']}")[:_NAME]
    path = run.path / "evals" / f"{name}.json"
    if path.is_file() and not _same_subject(path, subject):
        path = path.with_stem(f"{path.stem}-{json_digest(subject)[:8]}")
    plain = {"weights_sha256": file_sha256(run.weights), "report": report.plain()}
    make_folder(path.parent)
    write_file(path, [json.dumps(plain, ensure_ascii=False, indent=1).encode() + b"\n"])
    return path


def _same_subject(path: Path, subject: dict[str, Any]) -> bool:
    try:
        kept = _read(path)
        return bool(kept.task.subject(kept.report) == subject)
    except Damage:
        return True  # a damaged file is overwritten: reading it advises to run the evaluation again


class _Kept(Strict):
    """Content of the file, before its task has read the report."""

    weights_sha256: str
    report: dict[str, Any]


def _read(path: Path) -> Evaluation:
    what = "an evaluation"
    kept = _Kept.from_content(read_json(path, hint=_AGAIN), path, what=what, hint=_AGAIN)
    name = kept.report.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise Damage(
            f"{path} is not {what}: no task is called {str(name)[:_NAME]!r}",
            hint=f"install the package that brings this task, or remove the file; {TASKS.known()}",
            path=str(path),
        )
    report = TASKS.get(name).report.from_content(kept.report, path, what=what, hint=_AGAIN)
    return Evaluation(weights_sha256=kept.weights_sha256, report=report)
