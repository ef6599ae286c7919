"""Ctrl-C, SIGTERM and a closed terminal: one clean line and the exit code that tells which, at any moment, however often."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_manners import ROOT

SLEEPER = """
import sys, time
from cli.output import Ui
from cli.stopping import watch
watch.begin()
def work():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        CLEAN_UP
code = Ui(["cache", "build"]).guard(work, resumable=True)
watch.over(code)
AFTER
sys.exit(code)
"""
STOPPED = "stopped; every finished part is kept\n\nhint: resume with: kd cache build\n"


def sleeper(clean_up: str = "pass", after: str = "", before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    script = SLEEPER.replace("CLEAN_UP", clean_up).replace("AFTER", after)
    words = [*before, sys.executable, "-c", script]
    # Under nohup the tests ignore hang-ups, and so would their children.
    hear = None if before else functools.partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    started = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear
    )
    assert started.stdout.readline() == "ready\n"
    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 4])
def test_a_signal_however_often_is_one_line_and_its_code(number, times):
    started = sleeper(clean_up="time.sleep(0.4)")
    for _ in range(times):
        started.send_signal(number)
        time.sleep(0.02)
    assert started.communicate(timeout=30)[1] == STOPPED
    assert started.returncode == 128 + number


@pytest.mark.parametrize("pause", [0.02, 1.5])
def test_a_clean_up_that_hangs_is_ended_by_whoever_insists(pause):
    """At the fifth signal, or at one that comes after a second."""
    started, began = sleeper(clean_up="time.sleep(60)"), time.monotonic()
    while started.poll() is None and time.monotonic() < began + 30:
        started.send_signal(signal.SIGINT)
        time.sleep(pause)
    assert started.communicate(timeout=30)[1] == "stopped\n"
    assert started.returncode == 130


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    started = sleeper(before=("sh", "-c", 'trap "" HUP; exec "$@"', "sh"))
    started.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert started.poll() is None
    started.terminate()
    assert started.wait(30) == 143
    started.communicate()


def test_what_fails_after_a_signal_has_been_stopped():
    started = sleeper(clean_up="raise ImportError('half of it')")
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=30)[1] == STOPPED
    assert started.returncode == 130


def test_a_signal_while_python_takes_itself_down_changes_nothing():
    started = sleeper(after="print('over', flush=True); time.sleep(60)")
    started.send_signal(signal.SIGTERM)
    assert started.stdout.readline() == "over\n"
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=30)[1] == STOPPED
    assert started.returncode == 143


@pytest.mark.parametrize("moment", [0.05, 0.1, 0.2, 0.4, 0.8, 1.6])
def test_five_fast_ones_at_any_moment_of_a_build_leave_no_traceback(build_words, tmp_path, moment):
    """Loading, building, ending; until Python has read this package there is nobody to meet them."""
    script = "import os; from cli import stopping; stopping.watch.begin(); os.write(1, b'here'); from cli import main; main()"
    words = [sys.executable, "-c", script, *build_words, "--workers", "1", "--out", str(tmp_path / "c")]
    environ = {**os.environ, "PYTHONPATH": ROOT}
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = subprocess.Popen(words, cwd=tmp_path, env=environ, start_new_session=True, **piped)  # type: ignore[call-overload]
    assert os.read(started.stdout.fileno(), 4) == b"here"
    time.sleep(moment)
    for _ in range(5):
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        time.sleep(0.01)
    printed = started.communicate(timeout=60)[1].decode()
    assert started.returncode in (130, 0), printed
    assert "Traceback" not in printed
    assert "Exception ignored" not in printed
    assert printed.count("stopped") == (started.returncode == 130)


def test_an_arm_of_a_comparison_leaves_ctrl_c_to_its_parent(tmp_path):
    """And ends with it."""
    script = (
        "from kdcache.base.own_process import serve; import os, time; "
        "print(os.getpid()); serve(lambda task: time.sleep(60))"
    )
    (tmp_path / "arm.py").write_text(
        script.replace("print(os.getpid())", f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))")
    )
    asking = "import sys; sys.path.insert(0, sys.argv[1]); from kdcache.base.own_process import run_module; run_module('arm', 1)"
    started = subprocess.Popen(
        [sys.executable, "-c", asking, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGHUP)
    time.sleep(0.2)
    assert Path(f"/proc/{child}").exists()
    assert started.poll() is None
    started.terminate()
    started.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()
