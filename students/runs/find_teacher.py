"""Finds the run of a teacher `run:NAME`. A run is identified by the sha256 of its weights; its path is only a hint.

Input: the name, the location given by the user, and the weights in a plan. Output: a Run, and the two digests that identify it.
"""

from collections.abc import Iterator
from os.path import isfile
from pathlib import Path

from kdcache.base.digest import file_sha256, json_digest
from kdcache.errors import Mismatch, Unavailable
from kdcache.signals.teacher import Weights
from students.families.spec import StudentSpec
from students.runs.newest import RUNS
from students.runs.run import WEIGHTS, Run, teacher_run

RUN = "run"
"""Name of the teacher family of runs: run:NAME."""


def find_teacher(name: str, weights: str | None, planned: Weights | None) -> Run:
    """The run at the location given by the user, or else the one in the plan, or else the one with that name."""
    if planned is None:
        return teacher_run(name, weights)
    return _planned_run(planned) if weights is None else Run.open(weights)


def run_name(name: str, weights: str | None, run: Run) -> str:
    """Name of a run in a new plan: its folder's name or, if the user gave its location as `weights`, the given name."""
    return (Path(name).name if weights is not None else "") or run.path.resolve().name


def _planned_run(planned: Weights) -> Run:
    """The first run with the plan's weights; if there is none, a run at its old path, so that the error compares the two."""
    other: Path | None = None
    for path, likely in _places(planned):
        file = path / WEIGHTS
        # Unlike a Path's, isfile raises nothing, whatever the name.
        if not (isfile(path / "run.json") and isfile(file)):
            continue
        if file_sha256(file) == planned.sha256:
            return Run.open(path)
        if likely and other is None:
            other = path
    if other is not None:
        return Run.open(other)
    lay = f" in its old location {planned.path}, nor" if planned.path else ""
    raise Unavailable(
        f"the teacher of this cache, {planned.source}, is not{lay} in ./{RUNS}",
        hint="give its new location: --weights RUN",
    )


def _places(planned: Weights) -> Iterator[tuple[Path, bool]]:
    """Candidate paths, and whether path or name are those of the plan: these come first, then all runs in ./kd/runs."""
    if planned.path is not None:
        yield Path(planned.path), True
    name = planned.source.partition(":")[2]
    if "/" not in name and name not in ("", ".", ".."):  # a plan may be a stranger's: no name in it leads elsewhere
        yield Path(name), True
        yield RUNS / name, True
    for record in sorted(RUNS.glob("*/run.json")):
        yield record.parent, False


def check_weights(run: Run, sha256: str, planned: Weights) -> None:
    """Raises Mismatch if a run is not the one in the plan, or has been trained further since."""
    if sha256 != planned.sha256:
        raise Mismatch(
            f"{run.path} is not the teacher of the cache, {planned.source}: weights sha256 is {sha256}, in the plan "
            f"{planned.sha256}",
            hint="point --weights at the run as it was then, or build a new cache with this one",
        )


def settings(spec: StudentSpec) -> str:
    """Digest of a run's architecture and preprocessing."""
    return json_digest(spec.counted())
