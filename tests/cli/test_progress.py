"""Long work is alive and says so: live on a terminal, a line every 30 seconds elsewhere, never on stdout."""

import sys
import time

import pytest

from cli.output import Ui
from cli.progress import Count, show_progress
from cli.text import columns, duration, errors, plural, rate, size


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def terminal(monkeypatch):
    """Makes stderr a terminal, once called."""

    def make():
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "200")

    return make


def ui(**options):
    made = Ui([])
    made.configure(**{"json": False, "quiet": 0, "verbose": 0, "color": "auto", **options})
    return made


def work(shown, clock, seconds):
    """One image a second, ten bytes each, every tenth rejected."""
    shown.start("build", 200, done=50)
    for number in range(seconds):
        clock.now += 1
        shown.advance(1, bytes=10, rejected=number % 10 == 9)


def test_away_from_a_terminal_there_is_a_line_every_30_seconds(clock, capsys):
    work(show_progress(ui()), clock, 65)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "build: 80/200 · 1 images/s · 300 B written · 2 min 00 s left · 3 rejected",
        "build: 110/200 · 1 images/s · 600 B written · 1 min 30 s left · 6 rejected",
    ]


def test_on_a_terminal_it_is_live_and_leaves_nothing_behind(clock, capsys, terminal):
    terminal()
    shown = show_progress(ui())
    work(shown, clock, 20)
    shown._bars.refresh()  # type: ignore[attr-defined]
    shown.finish()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "70/200 · 1 images/s · 200 B written · 2 min 10 s left · 2 rejected" in printed.err
    assert printed.err.endswith("\x1b[2K")


def test_notes_are_told_above_the_live_line(clock, capsys, terminal):
    terminal()
    shown = show_progress(ui())
    shown.start("build", 10)
    shown.note("out of memory: the teacher now sees 32 images at a time [not markup]")
    shown.finish()
    assert "32 images at a time [not markup]\n" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["quiet", "environment"])
def test_progress_can_be_switched_off(clock, capsys, terminal, monkeypatch, how):
    terminal()
    if how == "environment":
        monkeypatch.setenv("KD_NO_PROGRESS", "1")
    shown = show_progress(ui(quiet=int(how == "quiet")))
    work(shown, clock, 65)
    shown.note("a note")
    shown.finish()
    assert capsys.readouterr().err == ("" if how == "quiet" else "a note\n")


def test_the_rate_is_that_of_the_last_seconds(clock):
    count = Count("build", 10_000, 0)
    for _ in range(100):
        clock.now += 1
        count.add(10, 0, 0)
    for _ in range(30):
        clock.now += 1
        count.add(1, 0, 0)
    assert count.rate == pytest.approx(1.0)


def test_work_that_was_done_before_is_not_counted_as_speed(clock):
    count = Count("build", 1000, 900)
    clock.now += 10
    count.add(50, 0, 0)
    assert count.rate == pytest.approx(5.0)


def test_numbers_are_readable():
    assert [size(n) for n in (0, 999, 1000, 999_600, 1.43e9, 2e15)] == [
        "0 B",
        "999 B",
        "1 kB",
        "1 MB",
        "1.43 GB",
        "2 PB",
    ]
    assert [duration(s) for s in (0.42, 12, 200, 7500, 300_000)] == [
        "0.4 s",
        "12 s",
        "3 min 20 s",
        "2 h 05 min",
        "3.5 days",
    ]
    assert [plural(1, "part"), plural(1204, "part"), plural(2, "class", "classes")] == [
        "1 part",
        "1,204 parts",
        "2 classes",
    ]
    assert [rate(n) for n in (1204.4, 12.34, 0.0321)] == ["1,204", "12.3", "0.0321"]
    assert errors({"cosine": 0.9999981, "max_abs": 0.000213}) == "cosine 0.999998, max_abs 0.00021"
    assert columns([["a", "1"], ["bbb", "100"]], right=(1,)) == "a      1\nbbb  100"


def test_a_name_with_a_newline_or_an_escape_stays_on_its_line():
    table = columns([["a\nb", "1"], ["\x1b[2Jcat", "22"], ["Hund ▲", "3"]], right=(1,))
    assert table.splitlines() == ["a\\nb         1", "\\x1b[2Jcat  22", "Hund ▲       3"]
