"""The task `probe`: a linear probe on frozen embeddings, fitted on a bank."""

from typing import Any, Literal

from kdcache.errors import UsageError
from students.judging.embeddings import BankSettings, Reading, ReadReport, ReadTask
from students.judging.features import Embedded
from students.judging.interval import wilson


class Settings(BankSettings):
    """Settings of the task."""

    seed: int = 0
    """Seed for the bank split that selects the probe's ridge penalty."""


class ProbeReport(ReadReport):
    """Report of the task `probe`."""

    task: Literal["probe"] = "probe"


class Probe(ReadTask[ProbeReport]):
    """The task `probe`."""

    name = "probe"
    description = "a linear probe fitted on the embeddings of the bank"
    settings = Settings
    report = ProbeReport

    def compared(self, seen: Embedded, settings: Settings) -> dict[str, Any]:
        """Fit the probe on the bank and classify the images with it."""
        return {"marks": probe(seen, seed=settings.seed), "seed": settings.seed}

    def subject(self, report: ProbeReport) -> dict[str, Any]:
        """The images, the bank, the precision and the seed."""
        return {**super().subject(report), "seed": report.seed}


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
