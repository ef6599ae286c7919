"""The task `probe`: a linear probe on frozen embeddings, fitted on a bank."""

import time
from typing import Any, Literal

from kdcache.base.progress import Progress
from kdcache.errors import UsageError
from students.base.task import Measure, Shown
from students.judging.embeddings import (
    BankSettings,
    Reading,
    ReadReport,
    about,
    check_both,
    look,
    shown_reading,
)
from students.judging.examples import Examples
from students.judging.features import Embedded
from students.judging.interval import wilson
from students.judging.judged import EMBEDDING, Judged


class Settings(BankSettings):
    """Settings of the task."""

    seed: int = 0
    """Seed for the bank split that selects the probe's ridge penalty."""


class ProbeReport(ReadReport):
    """Report of the task `probe`."""

    task: Literal["probe"] = "probe"


class Probe:
    """The task `probe`."""

    name = "probe"
    description = "a linear probe fitted on the embeddings of the bank"
    settings = Settings
    report = ProbeReport
    head = EMBEDDING
    truths = ("class",)
    measure = Measure("top-1")
    curves = {"top1": "top-1"}

    def check(self, student: Judged, examples: Examples, settings: Settings) -> None:
        """Refuses a bank that does not fit the images."""
        check_both(examples, settings.bank)

    def judge(self, student: Judged, examples: Examples, settings: Settings, progress: Progress) -> ProbeReport:
        """Fit the probe on the bank and classify the images with it."""
        started = time.perf_counter()
        seen = look(student, examples, settings.bank, progress)
        marks = probe(seen, seed=settings.seed)
        return ProbeReport(
            about=seen.facts,
            marks=marks,
            seed=settings.seed,
            precision=student.precision,
            device=student.device,
            seconds=time.perf_counter() - started,
        )

    def score(self, report: ProbeReport) -> float:
        """Top-1."""
        return report.marks.top1

    def numbers(self, report: ProbeReport) -> dict[str, float]:
        """Top-1."""
        return {"top1": report.marks.top1, "images": report.about.images}

    def subject(self, report: ProbeReport) -> dict[str, Any]:
        """The images, the bank, the seed and the precision."""
        return about(report.about, precision=report.precision, seed=report.seed)

    def show(self, report: ProbeReport) -> Shown:
        """The report, ready to be shown."""
        return shown_reading(self.name, report)


def probe(seen: Embedded, *, seed: int) -> Reading:
    """A linear probe fitted on the bank; a tenth of it selects the ridge penalty, another tenth is unused."""
    import numpy as np
    import torch

    from kdcache.teachers.heads.fit import fit_head

    count = int(max(seen.labels.max(), seen.bank_labels.max())) + 1
    names = [str(number) for number in range(count)]
    try:
        head = fit_head(seen.bank, seen.bank_labels.astype(np.int32), names, seed=seed)
    except UsageError as error:  # its hint belongs to another command
        raise UsageError(error.message, hint="name more images with --bank: some dozens of each class") from error
    guesses = head(seen.queries).argmax(1)
    right = int((guesses.cpu() == torch.from_numpy(seen.labels)).sum())
    return Reading(top1=right / len(seen.labels), interval=wilson(right, len(seen.labels)))


TASK = Probe()
