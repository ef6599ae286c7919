"""`reading`: how many words does a student get right? Nothing but the image is needed to know them."""

import time
from typing import Any, Literal

from kd_toy.words import read
from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.base.task import Measure, Shown


class Settings(Strict):
    """Nothing may be chosen."""


class Report(Strict):
    """What came of it."""

    task: Literal["reading"] = "reading"
    data: str
    fingerprint: str
    images: int
    rejected: dict[str, str]
    right: float
    """Share of all words that are right."""
    seconds: float


class Reading:
    """The task."""

    name, description = "reading", "how many words about an image's light are right"
    settings, report = Settings, Report
    head, truths = "generate", ()
    measure = Measure("words right")
    curves = {"right": "words right"}

    def check(self, student: Any, examples: Any, settings: Settings) -> None:
        """Any images will do."""

    def judge(self, student: Any, examples: Any, settings: Settings, progress: Progress) -> Report:
        """Let it read every image."""
        import torch

        started, ask, right, count = time.perf_counter(), student.ask(self.head), 0, 0
        pictures = examples.pictures(examples.images, student)

        def marked(pixels: Any) -> Any:
            output = ask(pixels).cpu()
            words, lengths = read(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
            there = torch.arange(words.shape[1]) < lengths[:, None]
            return torch.stack([((output == words) & there).sum(1), lengths], 1)

        with student.at_rest():
            for _, marks in pictures.look(marked, progress=progress):
                right, count = right + int(marks[:, 0].sum()), count + int(marks[:, 1].sum())
        images = examples.images
        return Report(
            data=images.source.name,
            fingerprint=images.fingerprint,
            images=len(images) - len(pictures.rejected),
            rejected=dict(pictures.rejected),
            right=right / count,
            seconds=time.perf_counter() - started,
        )

    def score(self, report: Report) -> float:
        """The share of right words."""
        return report.right

    def numbers(self, report: Report) -> dict[str, float]:
        """For metrics.jsonl."""
        return {"right": report.right, "images": report.images}

    def subject(self, report: Report) -> dict[str, Any]:
        """These images."""
        return {"data": report.data, "fingerprint": report.fingerprint}

    def show(self, report: Report) -> Shown:
        """One line."""
        pairs = (("words right", f"{report.right:.2%} in {report.images:,} images"),)
        return Shown(f"reading of {report.data}", pairs, rejected=report.rejected)
