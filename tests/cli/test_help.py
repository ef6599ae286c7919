"""What scripts and readers rely on: every command explains itself, the reference is what --help says, it starts fast."""

import resource
import subprocess
import sys

import pytest

from tests.cli.reference import DOCS, OPTIONS, commands, document, help_of, option_list
from tests.slowness import slowness

# Typer itself brings pydantic once it reads an option.
HEAVY = ("torch", "numpy", "h5py", "zarr", "pyarrow", "transformers", "timm", "yaml", "PIL", "rich")
LEAVES = [words for words, command in commands() if not hasattr(command, "commands")]


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_says_what_it_does_and_shows_examples_first(words):
    usage, sentence, examples = help_of(words).split("\n\n")[:3]
    assert usage.startswith(f"Usage: kd {' '.join(words)}")
    assert sentence.strip().endswith((".", ":"))
    assert examples.strip().startswith("Examples:\n")
    assert f"kd {' '.join(words)}" in examples


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_option_has_a_help_text(words):
    command = next(c for w, c in commands() if w == words)
    assert not [p.name for p in command.params if not p.help]


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_can_speak_json_and_be_quiet(words):
    command = next(c for w, c in commands() if w == words)
    names = {name for p in command.params for name in p.opts}
    assert {"--json", "--quiet", "--verbose", "--color"} <= names


def test_short_options_are_the_six_known_ones():
    shorts = {o for _, c in commands() for p in c.params for o in p.opts if len(o) == 2 and o[0] == "-"}
    assert shorts <= {"-c", "-o", "-n", "-q", "-v", "-y"}


def test_the_reference_is_what_help_says():
    written = DOCS.read_text("utf-8")
    assert written == document(written), "run `make docs-cli`"


def test_no_option_comes_or_goes_unnoticed():
    assert OPTIONS.read_text("utf-8") == option_list(), (
        "run `make docs-cli` and look at the difference: scripts use these"
    )


@pytest.mark.parametrize("words", [["--help"], ["cache", "build", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_heavy(words):
    script = f"import sys; from cli.app import run; run({words!r}); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stderr.split()}
    assert not loaded & set(HEAVY)


def test_help_takes_less_than_three_tenths_of_a_second():
    """Seconds of a usual core: how long it waits for one that others use says nothing about kd."""
    command = [sys.executable, "-c", "import sys; sys.argv = ['kd', '--help']; from cli import main; main()"]
    best, limit = float("inf"), 0.3 * slowness()
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if best < limit:
            return
    pytest.fail(f"kd --help takes {best:.2f} s, more than {limit:.2f}")
