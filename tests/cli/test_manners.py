"""Streams, errors and exit codes: what people read and scripts rely on."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.output import Ui
from kdcache import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.KDError)]
KD = [sys.executable, "-c", "from cli import main; main()"]
ROOT = str(Path(__file__).parents[2])


def raised(error):
    def work():
        raise error

    return work


def last_json(text):
    return json.loads(text.splitlines()[-1])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_failure_is_one_clear_line_a_hint_and_its_own_code(kind, capsys):
    code = Ui([]).guard(raised(kind("c2 has 3 rows, its plan says 4", hint="kd cache repair c2")))
    printed = capsys.readouterr()
    assert code == kind.exit_code
    assert printed.out == ""
    assert printed.err == "error: c2 has 3 rows, its plan says 4\n\nhint: kd cache repair c2\n"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_with_json_the_last_line_on_stderr_is_the_error(kind, capsys):
    code = Ui(["--json"]).guard(raised(kind("broken", hint="mend it", rows=[1, 2], path=Path("c2"))))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert last_json(printed.err) == {
        "v": 1,
        "type": "error",
        "code": code,
        "kind": kind.__name__,
        "message": "broken",
        "hint": "mend it",
        "details": {"rows": [1, 2], "path": "c2"},
    }


def test_the_exit_codes_are_those_of_the_documentation():
    documented = (Path(ROOT) / "docs" / "cli.md").read_text("utf-8")
    for kind in KINDS:
        assert f"\n| {kind.exit_code} |" in documented
    assert {kind.exit_code for kind in KINDS} == set(range(1, 10))


def test_a_bug_is_one_line_and_a_saved_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Ui(["cache", "info"]).guard(raised(ZeroDivisionError("by zero"))) == 1
    printed = capsys.readouterr().err
    (file,) = tmp_path.iterdir()
    assert printed == f"error: ZeroDivisionError: by zero\n\nhint: this is a bug in kd; its traceback is in {file}\n"
    saved = file.read_text()
    assert saved.startswith("kd cache info\n")
    assert "raise error" in saved


def test_a_failing_disk_is_not_called_a_bug(capsys):
    full = OSError(errno.ENOSPC, "No space left on device", "kd/x")
    assert Ui([]).guard(raised(full)) == 8
    assert capsys.readouterr().err.startswith("error: No space left on device: kd/x\n\nhint: free some space")


def test_a_place_that_cannot_be_written_is_named_before_the_work(kd, build_words, tmp_path):
    (tmp_path / "file").write_text("in the way")
    fit = ["teacher", "fit-head", "--teacher", "timm:test_vit", "--weights", "random"]
    for words in (build_words, fit):
        ran = kd(*words, "--out", "file/x")
        assert ran.code in (2, 8)
        assert "file" in ran.err.splitlines()[-3]
        assert "bug" not in ran.err


def test_debug_shows_the_traceback(capsys, monkeypatch):
    monkeypatch.setenv("KD_DEBUG", "1")
    Ui([]).guard(raised(errors.Damage("torn")))
    assert capsys.readouterr().err.startswith("  | Traceback (most recent call last):")


def test_ctrl_c_says_how_to_go_on(capsys):
    arguments = ["cache", "build", "--out", "my cache"]
    assert Ui(arguments).guard(raised(KeyboardInterrupt()), resumable=True) == 130
    assert "hint: resume with: kd cache build --out 'my cache'\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["nonsense"], "No such command 'nonsense'", "kd --help"),
        (["cache", "bild"], "No such command 'bild'", "kd cache --help"),
        (["cache", "info", "--nonsense"], "--nonsense", "kd cache info --help"),
        (["cache", "build", "--views", "many"], "--views", "kd cache build --help"),
        (["cache", "build", "--format", "csv"], "--format", "kd cache build --help"),
        (["cache", "get"], "IMAGE_ID", "kd cache get --help"),
        (["cache", "build"], "no --teacher", "kd cache build --teacher florence"),
        (["cache", "build", "--teacher", "florence", "--only", "4/3"], "--only 4/3", "--only 3/16"),
        (["cache", "build", "--teacher", "florence", "--input-size", "0"], "--input-size 0", "HEIGHTxWIDTH"),
        (["cache", "build", "--teacher", "clip", "--signal", "a,b", "--codec", "int8"], "for which signal?", "a=int8"),
        (["cache", "build", "--teacher", "flroence"], "unknown teacher 'flroence'", "florence"),
        (["teacher", "train-nano", "donut"], "donut", "one of clip, data2vec, florence"),
        (["teacher", "fit-head", "-o", "h"], "no --teacher", "kd teacher list"),
        (["cache", "info"], "no cache was named", "kd cache build"),
        (["cache", "info", "nowhere"], "nowhere", "kd cache build"),
        (["cache", "export", "divedoc", "x.h5", "--split", "train"], "--split train", "train="),
        (["config", "show", "augment"], "augment is not KIND/NAME", "views/augment"),
        (["config", "list", "vews"], "vews", "views, teachers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_one_line_a_hint_and_code_2(kd, words, message, hint):
    ran = kd(*words)
    assert (ran.code, ran.out) == (2, "")
    error, blank, way_out = ran.err.rstrip("\n").split("\n")[:3]
    assert error.startswith("error: ")
    assert message in error
    assert blank == ""
    assert way_out.startswith("hint: ")
    assert hint in way_out
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("words", [["cache", "bild"], ["cache", "info", "nowhere"], ["cache", "build"]], ids=" ".join)
def test_a_wrong_command_line_is_json_when_json_was_asked_for(kd, words):
    ran = kd(*words, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert last_json(ran.err)["code"] == 2


def test_a_group_alone_prints_its_commands(kd):
    ran = kd("cache")
    assert ran.code == 2
    assert "Commands:" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "words", [["config", "list"], ["config", "show", "views/augment"], ["teacher", "list"], ["doctor"]], ids=" ".join
)
def test_json_is_one_document_and_nothing_else(kd, words):
    people, machines = kd(*words), kd(*words, "--json")
    assert people.code == machines.code == 0
    assert machines.json
    assert machines.out.count("\n") == 1
    assert machines.err == ""
    assert len(people.out.splitlines()) > 3


def test_quiet_twice_leaves_the_exit_code(kd):
    ran = kd("config", "list", "-qq")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    ran = kd("config", "list", "nonsense", "-qq")
    assert (ran.code, ran.out, ran.err) == (2, "", "")


def test_colours_come_only_when_wanted(kd, monkeypatch):
    assert "\x1b" not in kd("config", "list", "nonsense").err
    assert "\x1b[1;31merror:\x1b[0m" in kd("config", "list", "nonsense", "--color", "always").err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Ui([]).colored(sys.stderr)


def test_config_mistakes_are_all_told_and_the_code_is_2(kd, tmp_path):
    (tmp_path / "mine.yaml").write_text("kind: augment\nflip: 2\ncrp: 1\n")
    ran = kd("config", "validate", "views/mine.yaml")
    assert ran.code == 2
    for key in ("flip:", "crp:", "crop:"):
        assert f"\n  {key}" in ran.err


def test_config_show_tells_where_each_value_came_from(kd, monkeypatch):
    monkeypatch.setenv("KD_VIEWS__FLIP", "0.25")
    shown = kd("config", "show", "views/augment", "--set", "erase=null", "--json").json
    assert shown["flip"] == {"value": 0.25, "from": "KD_VIEWS__FLIP"}
    assert shown["erase"] == {"value": None, "from": "--set erase"}
    assert shown["crop.interpolation"] == {"value": "bicubic", "from": "preset views/augment"}


def test_a_closed_pipe_is_met_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        ran = subprocess.run([*KD, "config", "list"], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stderr) == (141, "")


def test_ctrl_c_stops_a_build_and_the_same_command_goes_on(kd, build_words, tmp_path):
    """The signal comes as soon as the cache has a plan."""
    words = [*build_words, "--out", "c"]
    environ = {**os.environ, "PYTHONPATH": ROOT}
    started = subprocess.Popen([*KD, *words], cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "c" / "plan.json").exists() and started.poll() is None:
        time.sleep(0.001)
    started.send_signal(signal.SIGINT)
    printed = started.communicate()[1]
    assert started.returncode == 130, printed
    assert "resume with: kd cache build" in printed
    assert "Traceback" not in printed
    assert kd(*words).code == 0
    assert kd("cache", "verify", "c").code == 0
