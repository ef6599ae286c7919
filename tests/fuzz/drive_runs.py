"""What a user does with a run or a preset from a stranger."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.fuzz import ends
from tests.fuzz.case import Case


def opened(run: Path, out: Path) -> None:
    from students.runs.run import Run

    student_run = Run.open(run)
    _ = (
        student_run.metrics(),
        student_run.way_on,
        student_run.record.student.described,
        student_run.record.student.begun,
    )


def listed(run: Path, out: Path) -> None:
    """Whatever is the matter with it, `kd runs list` has an entry for it, and ends well."""
    from students.runs.overview import list_runs

    entries = {entry.path: entry.plain() for entry in list_runs(run.parent)}
    if run.is_dir() and run not in entries:
        raise ends.Unsound(f"not listed among {len(entries)}")
    json.dumps(list(entries.values()))


def network(run: Path, out: Path) -> None:
    """Its weights in its network, which says something finite of some pixels or not, but says it."""
    import torch

    from students.families.registry import head_of
    from students.runs.run import Run

    student_run = Run.open(run)
    built, spec = student_run.network(), student_run.record.student
    with torch.inference_mode():
        head_of(spec, built, "embedding")(torch.zeros(1, 3, *spec.input))


def kd(*words: str) -> Callable[[Path, Path], None]:
    """A command on the run; RUN and OUT stand for where they are."""

    def command(run: Path, out: Path) -> None:
        ends.command(*(word.replace("RUN", str(run)).replace("OUT", str(out)) for word in words))

    return command


HERE = ("--device", "cpu", "--workers", "0")
ON_RUNS: dict[str, Callable[[Path, Path], None]] = {
    "open": opened,
    "list": listed,
    "network": network,
    "show": kd("student", "show", "RUN"),
    "report": kd("report", "RUN", "--out", "OUT.html", "--samples", "2"),
    "export": kd("student", "export", "RUN", "--format", "timm", "--out", "OUT-timm"),
    "as teacher": kd(
        "cache", "build", "--teacher", "run:RUN", "--data", "shapes:count=8,size=32", "--out", "OUT-cache", *HERE
    ),
    "eval": kd("eval", "RUN", "--data", "shapes:split=val,count=8,size=32", *HERE),
    "resume": kd("train", "--resume", "RUN", "--stop-at", "6", *HERE),
}


def driven(box: Path, case: Case, _: Any) -> Callable[[Callable[[str], None]], Iterator[tuple[str, str, str]]]:
    """What is done with a changed run, or with a preset."""
    run, out = box / "in" / case.golden, box / "out-run"
    if case.target == "preset":
        kind, _, name = case.file.partition("/")
        work = {
            "validate": kd("config", "validate", f"{kind}/{box / 'in' / name}"),
            "show": kd("config", "show", f"{kind}/{box / 'in' / name}"),
        }
        if kind == "students":
            work["student show"] = kd("student", "show", str(box / "in" / name))
    else:
        # A student without a classifier is judged against all of its training images, which takes what it takes.
        work = {name: step for name, step in ON_RUNS.items() if name != "eval" or "dense" not in case.golden}

    def all_of_it(begin: Callable[[str], None]) -> Iterator[tuple[str, str, str]]:
        for name, operation in work.items():
            begin(name)
            yield ends.ended(name, functools.partial(operation, run, out))

    return all_of_it
