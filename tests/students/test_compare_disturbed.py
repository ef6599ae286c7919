"""A measurement that something disturbed is measured again, with those beside it; it is kept, marked, and said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcache.base.progress import Silent
from students.base.task import Measure
from students.compare import rounds
from students.compare.arms import arms_of
from students.compare.measuring.bars import ArmBar
from students.compare.measuring.measure import ArmTask
from students.compare.report import page
from students.compare.result.comparison import Comparison
from students.compare.result.disturbed import SLOWER, disturbed, outliers
from students.compare.result.verdict import verdict
from students.compare.rounds import FEW, Rounds
from tests.students.comparisons import comparison, measured
from tests.students.reader import Reader

ARMS = arms_of(("on-stream", "off-stream"))
STEADY = [0.30, 0.31, 0.30, 0.29, 0.30]


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (STEADY, []),
        ([0.30, 0.31, 0.45, 0.29, 0.30], [2]),
        ([0.30, 0.45, 0.45, 0.29, 0.30], [1, 2]),
        ([0.30, 0.36, 0.42, 0.26, 0.48], []),
        ([0.30, 0.20, 0.30, 0.30, 0.30], []),
        ([0.30, 0.60], []),
        ([0.30, 0.30, 0.60], [2]),
        ([0.30], []),
    ],
    ids=["steady", "one", "two", "restless", "a fast one", "of two none is right", "of three", "once"],
)
def test_what_is_much_slower_than_the_others_was_disturbed(seconds, found):
    assert outliers(seconds) == found


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=30))
def test_fewer_than_half_are_ever_disturbed_and_the_median_never(seconds):
    found = outliers(seconds)
    assert 2 * len(found) < len(seconds) or not found
    middle = sorted(seconds)[len(seconds) // 2]
    assert all(seconds[place] > (1 + SLOWER) * min(seconds) for place in found)
    assert all(seconds[place] >= middle for place in found)


class Machine:
    """Measures without training: so many seconds a step by arm, repeat by repeat, and again by how often before."""

    def __init__(self, monkeypatch, tmp_path, **slow):
        self.slow, self.asked, self.notes = slow, [], []
        self.folder = tmp_path
        monkeypatch.setattr(rounds, "in_a_process", self.measure)

    def task(self, arm, repeat, before):
        name = f"{arm.name}-{repeat}-{before}"
        fields = dict.fromkeys(ArmTask.model_fields)
        given = {
            "arm": arm.plain(),
            "cache": "c",
            "out": str(self.folder / "runs" / name),
            "student": "s",
            "recipe": "r",
        }
        return ArmTask.from_plain({**fields, **given, "settings": [], "steps": 20, "seed": repeat, "device": "cpu"})

    def measure(self, task, progress, name, left):
        called = task.out.rpartition("/")[2]
        self.asked.append((called, name, left))
        usual = 0.5 if task.arm.name == "on-stream" else 0.3
        return measured(task.arm, step=self.slow.get(called.replace("-", "_"), usual)).model_copy(
            update={"seed": task.seed}
        )

    def run(self, repeats=5):
        return Rounds(ARMS, self.task, repeats, Measure("top-1", True, True), self).measured()

    def note(self, text):
        self.notes.append(text)


def names(machine):
    return [called for called, _, _ in machine.asked]


def test_a_disturbed_pair_is_measured_again_as_a_pair(monkeypatch, tmp_path):
    machine = Machine(monkeypatch, tmp_path, off_stream_2_0=0.9)
    kept, again = machine.run()
    assert names(machine)[:2] == ["on-stream-0-0", "off-stream-0-0"], "side by side in time"
    assert names(machine)[10:] == ["on-stream-2-1", "off-stream-2-1"], "the pair, and nothing else"
    assert [one.step_seconds for one in kept["off-stream"]] == [0.3] * 5
    assert [one.seed for one in kept["off-stream"]] == list(range(5)), "with the same weights and images as before"
    (only,) = again
    assert (only.repeat, only.arm, only.step_seconds, only.usual) == (2, "off-stream", 0.9, 0.3)
    assert only.measured["off-stream"].step_seconds == 0.9, "kept, marked"
    said = "something disturbed repeat 3 (a step of off-stream took 900 ms, the median is 300 ms): measuring it again"
    assert said in machine.notes


def test_a_quiet_machine_measures_nothing_twice(monkeypatch, tmp_path):
    machine = Machine(monkeypatch, tmp_path)
    assert machine.run()[1] == ()
    assert len(machine.asked) == 10


def test_it_gives_up_after_a_few_times_and_counts_what_it_has(monkeypatch, tmp_path):
    machine = Machine(monkeypatch, tmp_path, **{f"off_stream_1_{before}": 0.9 for before in range(9)})
    kept, again = machine.run()
    assert len(again) == FEW
    assert kept["off-stream"][1].step_seconds == 0.9, "nothing is hidden"


def test_what_was_measured_is_not_measured_again_when_it_goes_on(monkeypatch, tmp_path):
    machine = Machine(monkeypatch, tmp_path, off_stream_2_0=0.9)
    before = machine.run()
    machine.asked.clear()
    assert machine.run() == before
    assert machine.asked == []
    more, again = machine.run(7)
    assert names(machine) == [f"{arm}-{repeat}-0" for repeat in (5, 6) for arm in ("on-stream", "off-stream")]
    assert (len(more["on-stream"]), again) == (7, before[1])


def test_the_result_keeps_it_and_says_so():
    found = comparison()
    then = {arm.name: measured(arm, 1, step=3.0) for arm in found.arms}
    odd = disturbed({name: (*each, then[name], *each) for name, each in found.measured.items()})
    found = found.model_copy(update={"disturbed": (odd.model_copy(update={"repeat": 1, "measured": then}),)})
    assert Comparison.from_plain(json.loads(json.dumps(found.plain()))) == found
    judged = verdict(found)
    assert judged.answer.certainty.startswith(
        "Measured 3 times, and 1 more that did not count because something disturbed it: between "
    )
    assert any(sentence.startswith("repeat 2 (a step of") for sentence in judged.sentences)
    assert judged.rows == verdict(comparison()).rows, "it counts nowhere"
    assert "off-stream, disturbed" in Reader(page(found, judged)).words


def test_a_comparison_of_an_earlier_version_opens():
    plain = comparison().plain()
    for name in ("disturbed", "recipe_epochs"):
        del plain[name]
    for job in (plain["job"],):
        del job["watts"]
    assert Comparison.from_plain(plain) == comparison()


class Shown(Silent):
    def __init__(self):
        self.seen = []

    def start(self, stage, total, done=0):
        self.seen.append((stage, total, done))

    def aside(self, text):
        self.seen.append(text)


def test_a_bar_says_arm_repeat_step_and_how_long_the_rest_takes():
    shown = Shown()
    bar = ArmBar("off-stream 3/5", 12, "then 40 s more", shown)
    for message in (["start", "train", 1536, 0], ["advance", 640], ["finish"], ["start", "replay", 64, 0]):
        bar.show(message)
    assert shown.seen == [
        ("off-stream 3/5", 1536, 0),
        "step 0/12, then 40 s more",
        "step 5/12, then 40 s more",
        ("off-stream 3/5: replay", 64, 0),
        "then 40 s more",
    ]
