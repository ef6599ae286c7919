"""Measures all arms several times, in rounds: every arm once, one after the other. A round that was disturbed is repeated.

Input: the task of an arm and a repeat. Output: the measurements of every arm, and the rounds that do not count. Each
measurement is kept in its own file, so that an interrupted comparison is resumed, and one with more repeats goes on.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from kdcache.base.atomic import make_folder, write_file
from kdcache.base.figures import duration
from kdcache.base.progress import Progress
from kdcache.errors import StorageError
from students.base.task import Measure
from students.compare.arms import Arm
from students.compare.measuring.measure import ArmTask, Measured
from students.compare.measuring.process import in_a_process
from students.compare.result.disturbed import Disturbed, disturbed

AGAIN = "remove it and run the same command again, or choose another folder with --out"
FEW, SHARE = 2, 5
"""At most FEW rounds are measured again, or, with many repeats, one in SHARE."""
TaskOf = Callable[[Arm, int, int], ArmTask]
"""The task of an arm in a repeat: (arm, number of the repeat, how often that was measured before)."""
Round = dict[str, Measured]


class Rounds:
    """The rounds of a comparison, and how long they take."""

    def __init__(self, arms: tuple[Arm, ...], task: TaskOf, repeats: int, measure: Measure, progress: Progress) -> None:
        self._arms, self._task, self._repeats, self._measure, self._progress = arms, task, repeats, measure, progress
        self._took: list[float] = []
        """Seconds of the measurements of this process."""
        self._left = repeats * len(arms)
        """Number of measurements that are still to be made."""

    def measured(self) -> tuple[dict[str, tuple[Measured, ...]], tuple[Disturbed, ...]]:
        """Measure all rounds, and those that were disturbed again, the worst first."""
        rounds = [self._round(repeat, 0) for repeat in range(self._repeats)]
        again: list[Disturbed] = []
        while len(again) < max(FEW, self._repeats // SHARE) and (worst := disturbed(self._by_arm(rounds))):
            self._progress.note(f"something disturbed {worst.text}: measuring it again")
            again.append(worst)
            self._left = len(self._arms)
            rounds[worst.repeat] = self._round(worst.repeat, sum(each.repeat == worst.repeat for each in again))
        return self._by_arm(rounds), tuple(again)

    def _by_arm(self, rounds: list[Round]) -> dict[str, tuple[Measured, ...]]:
        return {arm.name: tuple(one[arm.name] for one in rounds) for arm in self._arms}

    def _round(self, repeat: int, before: int) -> Round:
        return {arm.name: self._one(arm, repeat, before) for arm in self._arms}

    def _one(self, arm: Arm, repeat: int, before: int) -> Measured:
        task, began = self._task(arm, repeat, before), time.monotonic()
        path = Path(task.out)
        file = path.parent.parent / "measured" / f"{path.name}.json"
        self._left -= 1
        if file.is_file():
            found = Measured.from_file(file, what="a measurement", hint=AGAIN)
            self._note(found, repeat, "measured before")
            return found
        measured = in_a_process(task, self._progress, f"{arm.name} {repeat + 1}/{self._repeats}", self._time_left())
        if measured is None:
            raise StorageError(
                f"{arm.name} ran out of memory with {task.batch} images per step",
                hint="use --micro N to split a step into smaller pieces, or a smaller --train-batch",
            )
        make_folder(file.parent)
        write_file(file, [json.dumps(measured.plain()).encode()])
        self._took.append(time.monotonic() - began)
        self._note(measured, repeat, duration(self._took[-1]))
        return measured

    def _time_left(self) -> str:
        """How long all measurements after the present one will take, by those until now; empty before the second round."""
        if len(self._took) < len(self._arms) or not self._left:
            return ""
        return f"then {duration(self._left * sum(self._took) / len(self._took))} more"

    def _note(self, one: Measured, repeat: int, took: str) -> None:
        result = "" if one.score is None else f", {self._measure.name} {self._measure.text(one.score)}"
        speed = f"{one.images_per_second:,.3g} images/s{result}"
        self._progress.note(f"{repeat + 1} of {self._repeats}  {one.arm}: {speed} ({took})")
