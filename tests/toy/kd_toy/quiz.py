"""`quiz`: how many questions about its images does a student answer with the right letter?"""

import time
from typing import Any, Literal

from kdcache.base.progress import Progress
from kdcache.base.strict import Strict
from students.base.task import Measure, Shown


class Settings(Strict):
    """Nothing may be chosen."""


class Report(Strict):
    """What came of it."""

    task: Literal["quiz"] = "quiz"
    data: str
    fingerprint: str
    questions: int
    texts: int
    """Questions about images whose text is known."""
    rejected: dict[str, str]
    right: float
    seconds: float


class Quiz:
    """The task. It needs no classes, so that images without any are judged, too."""

    name, description = "quiz", "questions that are answered with the right letter"
    settings, report = Settings, Report
    head, truths = "answer", ("questions", "text")
    measure = Measure("letters right")
    curves = {"right": "letters right"}

    def check(self, student: Any, examples: Any, settings: Settings) -> None:
        """That the images have questions and texts is checked by kd."""

    def judge(self, student: Any, examples: Any, settings: Settings, progress: Progress) -> Report:
        """Ask every question."""
        started, count, texts, right = time.perf_counter(), 0, 0, 0
        pictures = examples.pictures(examples.images, student)
        asked = pictures.look_at_items("questions", student.ask(self.head), truths=("text",), progress=progress)
        with student.at_rest():
            for truths, letters in asked:
                first = letters.argmax(-1).tolist()
                wanted = [[*"".join(each.answers[:1]).encode(), -1][0] for each in truths["questions"]]
                count, texts = count + len(wanted), texts + sum(text is not None for text in truths["text"])
                right += sum(map(int.__eq__, first, wanted))
        images = examples.images
        return Report(
            data=images.source.name, fingerprint=images.fingerprint, questions=count, texts=texts,
            rejected=dict(pictures.rejected), right=right / count, seconds=time.perf_counter() - started,
        )  # fmt: skip

    def score(self, report: Report) -> float:
        """The share of right letters."""
        return report.right

    def numbers(self, report: Report) -> dict[str, float]:
        """For metrics.jsonl."""
        return {"right": report.right, "questions": report.questions}

    def subject(self, report: Report) -> dict[str, Any]:
        """These images."""
        return {"data": report.data, "fingerprint": report.fingerprint}

    def show(self, report: Report) -> Shown:
        """One line."""
        pairs = (("letters right", f"{report.right:.2%} of {report.questions:,} questions"),)
        return Shown(f"quiz about {report.data}", pairs, rejected=report.rejected)
