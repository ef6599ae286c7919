"""In each process of a command every set of images is scanned once and every cache is opened once."""

from collections import Counter

import pytest

from tests.trips.ran import counted

pytestmark = pytest.mark.slow
VAL = "--val shapes:split=val,count=8"
COMMANDS = (
    "kd cache build --teacher florence --data shapes:count=16 --batch 8 --workers 0",
    f"kd train --student tinyvit-5m {VAL} --steps 1 --size 32 --batch 8 --workers 0",
    f"kd compare on-stream off-stream {VAL} --steps 2 --repeat 1 --images 16 --train-batch 8 --student-size 32 --workers 0",
)
"""The commands of ran.py, as small as they can be: nothing is timed here."""


@pytest.fixture(scope="module")
def noted(tmp_path_factory):
    """What happened inside each command, and inside its children, by the command's second word."""
    return {command.split()[1]: lines for command, lines in counted(tmp_path_factory.mktemp("trips"), COMMANDS)}


def times(lines, kind):
    """Process -> how often, without what happens inside another scan or opening."""
    return sorted(Counter(one["pid"] for one in lines if one["kind"] == kind and not one["inner"]).values())


def test_a_build_scans_its_images_and_opens_its_cache_once(noted):
    assert len(noted) == len(COMMANDS)
    assert (times(noted["cache"], "scan"), times(noted["cache"], "open")) == ([1], [1])


def test_a_training_scans_training_and_validation_images_once_and_opens_its_cache_once(noted):
    assert (times(noted["train"], "scan"), times(noted["train"], "open")) == ([2], [1])


def test_a_comparison_scans_all_images_and_the_chosen_ones_once_and_each_arm_its_own(noted):
    """The command: all images, to know how many there are, those that are compared on, and those of --val. An arm: training and
    validation."""
    assert times(noted["compare"], "scan") == [2, 2, 3]
    assert times(noted["compare"], "open") == [1, 1, 1]
