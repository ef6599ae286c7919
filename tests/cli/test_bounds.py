"""Numbers that nobody can mean are refused at once: every option has a bound, and one line names it."""

from typing import get_args

import pytest

from kdcache.base import limits
from tests.cli.reference import commands

ANY = {"epochs", "price", "tolerance", "rate"}
"""numbers with a fraction, held against their bounds where they are used"""
CUT = {"limit", "replay", "teacher", "view"}
"""of these no more is taken than there is, or it is held against what there is"""


def test_every_whole_number_on_the_command_line_has_a_bound():
    unbound = {
        f"{' '.join(words)} {parameter.opts[0]}"
        for words, command in commands()
        for parameter in getattr(command, "params", ())
        if int in (kind := parameter.type_descriptor.annotation, *get_args(kind))
        and not getattr(parameter, "count", False)
        and parameter.max is None
        and parameter.name not in ANY | CUT
    }
    assert unbound == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cache", "build", "--teacher", "florence", "--views", 10**9], "--views '"),
        (["cache", "build", "--teacher", "florence", "--workers", 100_000], "--workers '"),
        (["cache", "build", "--teacher", "florence", "--batch", 10**20], "--batch '"),
        (["cache", "build", "--teacher", "florence", "--input-size", 99_999], "--input-size 99999 is more than 8,192"),
        (["cache", "build", "--teacher", "florence", "--data", f"shapes:count={10**20}"], "1 to 100,000,000 images"),
        (["cache", "build", "--teacher", "florence", "--data", "shapes:count=1e20"], "count of shapes is '1e20'"),
        (["train", "--epochs", "1e300"], "--epochs 1e+300 is not a number above 0 and up to 1,000,000"),
        (["train", "--steps", 10**20], "--steps '"),
        (["train", "--batch", 10**9], "--batch '"),
        (["train", "--stream", "none", "--set", "epochs=1e300"], "epochs: 1e+300"),
        (["train", "--stream", "none", "--set", f"batch={10**12}"], f"batch: {10**12}"),
        (["compare", "on-stream", "off-stream", "--epochs", "1e300"], "--epochs above 0 and up to 1,000,000"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_a_number_that_nobody_can_mean_is_one_line(kd, words, message):
    ran = kd(*words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "bug" not in ran.err


def test_a_cache_never_has_more_views_than_can_be_planned(kd, cache, tmp_path):
    from shutil import copytree

    copytree(cache, tmp_path / "c")
    ran = kd("cache", "add-views", "c", limits.VIEWS)
    assert ran.code == 2


@pytest.mark.parametrize("seed", [10**30, -(10**30), 1 << 63, -1, 7])
def test_torch_takes_any_seed(seed):
    import torch

    from students.train.job import torch_seed

    torch.Generator().manual_seed(torch_seed(seed))
    assert torch_seed(7) == 7
    assert torch_seed(-1) == -1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--cache", ""], "the value after --cache is empty"),
        (["train", "--cache="], "the value of --cache is empty"),
        (["train", "--resume", ""], "the value after --resume is empty"),
        (["train", "--cache", "c", "-o", ""], "the value after -o is empty"),
        (["eval", ""], "an argument is empty"),
        (["cache", "info", ""], "an argument is empty"),
        (["predict", "r", ""], "an argument is empty"),
        (["report", "r", "--out", ""], "the value after --out is empty"),
    ],
)
def test_an_empty_word_is_not_the_current_folder(words, message, kd):
    ran = kd(*words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert " --help" in ran.err
