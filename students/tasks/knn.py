"""The task `knn`: classification by a vote of the nearest images of a bank, on frozen embeddings."""

from typing import Any, Literal

from students.judging.embeddings import BankSettings, Reading, ReadReport, ReadTask
from students.judging.features import Embedded
from students.judging.interval import wilson

VOTERS = 20
HEAT = 0.07
"""Temperature of the vote: a neighbour has the weight exp(cosine / HEAT). k = 20 and 0.07 as in DINO's evaluation
(arXiv 2104.14294, section 4)."""


class KnnReport(ReadReport):
    """Report of the task `knn`."""

    task: Literal["knn"] = "knn"


class Knn(ReadTask[KnnReport]):
    """The task `knn`."""

    name = "knn"
    description = f"a vote of the nearest {VOTERS} of the bank"
    report = KnnReport

    def compared(self, seen: Embedded, settings: BankSettings) -> dict[str, Any]:
        """Classify each image by a vote of its nearest images in the bank."""
        return {"marks": vote(seen), "seed": 0}  # nothing is drawn; kept because stored reports have the field


def vote(seen: Embedded) -> Reading:
    """Accuracy of the vote; a nearer image has a larger weight."""
    import torch

    from students.judging.neighbours import nearest

    cosines, rows = nearest(seen.queries, seen.bank, VOTERS)
    labels = torch.from_numpy(seen.bank_labels).to(rows.device)[rows]
    votes = torch.zeros(len(rows), int(seen.bank_labels.max()) + 1, device=rows.device)
    votes.scatter_add_(1, labels, ((cosines - 1) / HEAT).exp())
    right = int((votes.argmax(1).cpu() == torch.from_numpy(seen.labels)).sum())
    return Reading(top1=right / len(seen.labels), interval=wilson(right, len(seen.labels)))


TASK = Knn()
