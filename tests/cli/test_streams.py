"""Standard streams as shells hand them over: closed, full, or without a code for every letter."""

import json
import os
import subprocess
import sys

import pytest

from tests.cli.test_manners import ROOT

KD = f"{sys.executable} -c 'from cli import main; main()'"


def in_a_shell(words, tmp_path, **environ) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a command line in which KD stands for the program."""
    environment = {**os.environ, "PYTHONPATH": ROOT, **environ}
    line = words.replace("KD", KD)
    return subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        ("KD config list >&-", 0, "", ""),
        ("KD config list <&- >&- 2>&-", 0, "", ""),
        ("KD --help >&-", 0, "", ""),
        ("KD cache info none 2>&-", 2, "", ""),
        ("KD cache info none 2>/dev/full", 2, "", ""),
        (
            "KD config list >/dev/full",
            8,
            "",
            "error: cannot write the result to stdout: No space left on device\n\nhint: ",
        ),
        ("KD config list --json >/dev/full", 8, "", '"kind": "StorageError"'),
        ("KD config list >/dev/full 2>/dev/full", 8, "", ""),
        ("KD --help >/dev/full", 8, "", "No space left on device"),
        ("KD config list | true; exit ${PIPESTATUS[0]}", 141, "", ""),
        ("KD --help | true; exit ${PIPESTATUS[0]}", 141, "", ""),
        ("KD nonsense 2>&1 >/dev/full | true; exit ${PIPESTATUS[0]}", 2, "", ""),
    ],
)
def test_a_stream_that_takes_nothing_is_met_quietly(tmp_path, words, code, out, err):
    """A closed one is as /dev/null; an answer that is lost on the way is an error, lost talk is none."""
    ran = in_a_shell(words, tmp_path)
    assert (ran.returncode, ran.stdout) == (code, out), ran.stderr
    assert err in ran.stderr
    assert bool(err) is bool(ran.stderr)
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_workers_need_no_stdin(tmp_path, build_words):
    ran = in_a_shell(f"KD {' '.join(build_words)} --workers 2 --out c <&- >&-", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert in_a_shell("KD cache verify c --replay 3 --workers 1 <&- 2>&-", tmp_path).returncode == 0


def test_letters_without_a_code_are_written_as_escapes(tmp_path, built):
    (tmp_path / "Blüten").symlink_to(built)
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    printed = in_a_shell("KD cache info Blüten", tmp_path, **ascii_only)
    assert printed.returncode == 0, printed.stderr
    assert "Bl\\xfcten" in printed.stdout
    found = in_a_shell("KD cache info Blüten --json", tmp_path, **ascii_only)
    assert json.loads(found.stdout)["path"] == "Blüten"
    assert found.stdout.isascii()
    failed = in_a_shell("KD cache info Blätter --json", tmp_path, **ascii_only)
    assert failed.returncode == 2
    assert "Blätter" in json.loads(failed.stderr)["message"]
    assert failed.stderr.isascii()


def test_a_terminal_that_has_gone_ends_nothing(tmp_path, build_words):
    """With the hang-up ignored, as under nohup, the work goes on, though its progress can be shown nowhere."""
    script = (
        "import os, pty, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "pid, terminal = pty.fork()\n"
        "if pid == 0:\n"
        "    os.execv(sys.executable, [sys.executable, '-c', 'from cli import main; main()', *sys.argv[1:]])\n"
        "os.read(terminal, 1)\n"
        "os.close(terminal)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    words = [sys.executable, "-c", script, *build_words, "--workers", "1", "--out", "c"]
    ran = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}, timeout=120)
    # Its answer goes to the terminal as well, and cannot be written: that is told by the code, after all is built.
    assert ran.returncode == 8
    assert in_a_shell("KD cache verify c", tmp_path).returncode == 0
