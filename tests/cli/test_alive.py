"""Nobody wonders for longer than two seconds whether a command is alive."""

import sys
import time

import pytest

from cli import alive
from cli.alive import Alive
from cli.output import Ui
from cli.progress import Count, show_progress


@pytest.fixture
def hasty(monkeypatch):
    """Two seconds pass in a moment."""
    monkeypatch.setattr(alive, "PATIENCE", 0.05)
    monkeypatch.setattr(alive, "ELSEWHERE", 0.1)
    monkeypatch.setattr(alive, "_TICK", 0.01)


def ran(work, *, terminal, monkeypatch, capsys, **configured):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    ui = Ui([])
    ui.configure(**{"json": False, "quiet": 0, "verbose": 0, "color": "never", **configured})
    ui.guard(lambda: work(ui))
    return capsys.readouterr()


def slow(ui):
    ui.doing("listing the images")
    time.sleep(0.3)
    ui.note("done")
    ui.answer({}, "the answer")


def test_on_a_terminal_silence_is_broken_and_leaves_nothing_behind(hasty, monkeypatch, capsys):
    printed = ran(slow, terminal=True, monkeypatch=monkeypatch, capsys=capsys)
    assert "listing the images … 0.1 s" in printed.err
    assert printed.err.endswith("\r\x1b[2Kdone\n"), "the line vanishes before the next word"
    assert printed.out == "the answer\n"


def test_in_a_log_it_is_a_line(hasty, monkeypatch, capsys):
    printed = ran(slow, terminal=False, monkeypatch=monkeypatch, capsys=capsys)
    lines = printed.err.splitlines()
    assert lines[0].startswith("listing the images … 0.1 s")
    assert lines[-1] == "done"
    assert "\x1b" not in printed.err


def test_who_wants_quiet_gets_it(hasty, monkeypatch, capsys):
    assert ran(slow, terminal=True, monkeypatch=monkeypatch, capsys=capsys, quiet=1).err == ""


def test_a_bar_is_no_silence(hasty, monkeypatch, capsys):
    import rich.progress  # noqa: F401  (else its import is what is waited for)

    def work(ui):
        shown = show_progress(ui)
        shown.start("build", 10)
        time.sleep(0.2)
        shown.finish()

    monkeypatch.setenv("TERM", "xterm")
    assert "working" not in ran(work, terminal=True, monkeypatch=monkeypatch, capsys=capsys).err


def test_a_library_that_is_being_imported_is_named(monkeypatch):
    class Spec:
        _initializing = True

    class Module:
        __spec__ = Spec()

    monkeypatch.setitem(sys.modules, "torch", Module())
    assert alive._loading() == "loading torch"


def test_it_ends_with_the_command(hasty, capsys):
    watch = Alive(lambda text: None, live=True)
    watch.start()
    time.sleep(0.15)
    watch.stop()
    capsys.readouterr()
    time.sleep(0.15)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("room", [10, 30, 45, 60, 200])
def test_a_narrow_terminal_keeps_what_matters_most(room):
    count = Count("train", 20_000, 100)
    count.done, count.bytes, count.rejected, count.aside = 10_000, 10**9, 3, "loss 2.345"
    line = count.line(room)
    assert line.startswith("10,000/20,000")
    assert len(line) <= max(room, len("10,000/20,000"))
    assert ("loss 2.345" in line) == (room >= 45)


def test_sixty_columns_still_have_a_bar(monkeypatch, capsys):
    for name, value in (("TERM", "xterm"), ("COLUMNS", "60")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ui = Ui([])
    ui.configure(json=False, quiet=0, verbose=0, color="never")
    shown = show_progress(ui)
    shown.start("off-stream 1/3: train", 200_000)
    shown.aside("loss 12.345")
    shown.advance(150_000, bytes=10**9, rejected=5)
    shown._bars.refresh()  # type: ignore[attr-defined]
    shown.finish()
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "150,000" in line]
    assert any("━" in line for line in lines), lines
