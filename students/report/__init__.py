"""`write_report(run, out)`: one self-contained HTML page about a run, without scripts; the teacher is never loaded."""

import os
from collections.abc import Callable
from pathlib import Path

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.digest import file_sha256
from students.judging.kept import read_evaluations
from students.report.page import Facts, page
from students.report.samples import Samples, taught_samples, validation_samples
from students.runs.run import Run

__all__ = ["write_report"]


def write_report(
    run: Run, out: Path | None = None, *, samples: int = 8, warn: Callable[[str], None] | None = None
) -> Path:
    """Write the page with `samples` images of each kind; returns its path, by default <run>/report.html.

    `warn` is called with a sentence for everything that could not be shown.
    """
    weights = run.path / "best.safetensors"
    if weights.is_file():
        network = run.network()
        taught, unseen = (look(run, network, samples) for look in (taught_samples, validation_samples))
    else:
        nothing = "The run has no weights yet, so the student has no predictions."
        taught, unseen = Samples(notes=[nothing]), Samples(notes=[nothing])
    for line in [*taught.missing, *unseen.missing]:
        if warn is not None:
            warn(line)
    facts = Facts(
        run=os.path.basename(os.path.abspath(run.path)),
        record=run.record,
        metrics=run.metrics(),
        evaluations=read_evaluations(run),
        weights_sha256=file_sha256(weights) if weights.is_file() else None,
        taught=taught,
        unseen=unseen,
    )
    path = out or run.path / "report.html"
    make_folder(path.absolute().parent)
    write_file(path, [page(facts).encode("utf-8", "backslashreplace")])
    return path
