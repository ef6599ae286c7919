"""The functions beside the commands: their keywords are the options, the page lists them all, and naming them costs nothing."""

import inspect
import json
import keyword
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import kdcache
import students
from kdcache.api import BuildKeywords
from kdcache.errors import KDError, UsageError
from students.api import MachineKeywords, TrainKeywords
from tests.cli.reference import commands

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
OF_THE_TERMINAL = {"json", "quiet", "verbose", "color", "help", "dry_run"}
FACE: list[tuple[str, tuple[Any, ...], set[str]]] = [
    ("cache plan", (kdcache.plan_cache, students.place_job), {"estimate"}),
    ("cache build", (kdcache.build_cache,), set()),
    ("cache verify", (kdcache.verify_cache,), set()),
    ("cache repair", (kdcache.repair_cache,), set()),
    ("cache convert", (kdcache.convert_cache,), set()),
    ("cache merge", (kdcache.merge_caches,), set()),
    ("cache add-views", (kdcache.add_views,), set()),
    ("cache list", (kdcache.list_caches,), {"root"}),
    ("train", (students.train_student, students.resume_student), {"run"}),
    ("finetune", (students.finetune_student,), set()),
    ("eval", (students.evaluate_student, students.evaluate_teacher), set()),
    ("predict", (students.predict,), set()),
    ("compare", (students.compare_streams,), set()),
    ("student export", (students.export_student,), set()),
    ("runs list", (students.list_runs,), set()),
]
"""Command, the functions that together do the same, and keywords that have no option."""
REFUSED: list[tuple[str, Callable[[], Any]]] = [
    ("cache plan", kdcache.plan_cache),
    ("cache plan --teacher no-such", lambda: kdcache.plan_cache(teacher="no-such")),
    ("cache build --out nothing", lambda: kdcache.build_cache(out="nothing")),
    ("cache verify nothing", lambda: kdcache.verify_cache("nothing")),
    ("cache repair nothing", lambda: kdcache.repair_cache("nothing")),
    ("cache convert nothing --out new", lambda: kdcache.convert_cache("nothing", out="new")),
    ("cache merge nothing other --out new", lambda: kdcache.merge_caches(["nothing", "other"], out="new")),
    ("cache add-views nothing 2", lambda: kdcache.add_views("nothing", 2)),
    ("train --epochs nan", lambda: students.train_student(epochs=float("nan"))),
    ("train --head head.safetensors", lambda: students.train_student(head="head.safetensors")),
    ("train --stream none --cache c2", lambda: students.train_student(stream="none", cache="c2")),
    ("train --resume nothing", lambda: students.resume_student("nothing")),
    ("finetune nothing", lambda: students.finetune_student("nothing")),
    ("eval nothing", lambda: students.evaluate_student("nothing")),
    ("predict nothing", lambda: students.predict("nothing")),
    ("predict nothing photos --teacher clip", lambda: students.predict("nothing", "photos", teacher="clip")),
    ("compare on-stream", lambda: students.compare_streams(["on-stream"])),
    (
        "compare on-stream off-stream --gpu-memory much",
        lambda: students.compare_streams(["on-stream", "off-stream"], gpu_memory="much"),
    ),
    (
        "student export nothing --format onnx --out new",
        lambda: students.export_student("nothing", format="onnx", out="new"),
    ),
]
"""A mistake on the command line, and the same mistake in a call."""


def options_of(words: str) -> set[str]:
    """Options and arguments of a command, as Python would call them."""
    (command,) = [command for path, command in commands() if path == words.split()]
    found = set()
    for parameter in command.params:
        long = [name for name in parameter.opts if name.startswith("--")]
        name = long[0].removeprefix("--").replace("-", "_") if long else parameter.name
        found.add(f"{name}_" if keyword.iskeyword(name) else name)
    return found - OF_THE_TERMINAL


def keywords_of(function: Callable[..., Any]) -> set[str]:
    """Parameters of a function, those it takes as a table of keywords one by one."""
    found = set()
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (table,) = parameter.annotation.__args__
            found |= get_type_hints(table).keys()
        else:
            found.add(parameter.name)
    return found - {"progress"}


@pytest.mark.parametrize(("words", "functions", "own"), FACE, ids=[words for words, _, _ in FACE])
def test_keywords_are_called_like_the_options(words, functions, own):
    keywords = set[str]().union(*(keywords_of(function) for function in functions))
    assert keywords - own == options_of(words) - ({"resume"} if words == "train" else set())


def test_every_function_is_compared_with_its_command():
    compared = {function.__name__ for _, functions, _ in FACE for function in functions}
    assert compared == {*kdcache.__all__, *students.__all__} - {"Cache"}


def test_resuming_takes_the_options_that_the_command_allows():
    from cli.train_resume import RESUME_HELP

    allowed = {name.replace("-", "_") for name in re.findall(r"--([a-z-]+)", RESUME_HELP)}
    assert keywords_of(students.resume_student) - {"run"} == allowed


@pytest.mark.parametrize("package", [kdcache, students])
def test_the_page_lists_exactly_what_a_package_offers(package):
    listed = re.findall(rf"^\| `{package.__name__}\.(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(package.__all__)
    assert all(getattr(package, name).__doc__ for name in package.__all__)
    assert (Path(package.__file__).parent / "py.typed").is_file()


def test_naming_the_functions_imports_nothing_heavy():
    code = (
        "import sys, kdcache, students\n"
        "for package in (kdcache, students):\n"
        "    for name in package.__all__: getattr(package, name)\n"
        "print(sorted({'torch', 'timm', 'transformers', 'h5py', 'zarr'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_a_package_does_not_offer_is_an_attribute_error():
    for package in (kdcache, students):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            package.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("function", "first"),
    [(kdcache.build_cache, ()), (students.train_student, ()), (students.resume_student, ("run",))],
)
def test_a_keyword_that_is_none_is_refused(function, first):
    with pytest.raises(TypeError, match="baatch"):
        function(*first, baatch=1)


def test_what_would_have_no_effect_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--head cannot be used with --stream off, which loads no teacher"):
        students.train_student(head="head.safetensors")
    with pytest.raises(UsageError, match="--epochs nan"):
        students.train_student(epochs=float("nan"))
    with pytest.raises(UsageError, match="no --teacher"):
        kdcache.build_cache(out=tmp_path / "nothing")


@pytest.mark.parametrize(("words", "call"), REFUSED, ids=[words for words, _ in REFUSED])
def test_a_mistake_has_the_same_message_and_hint_on_both_ways(words, call, tmp_path, monkeypatch, capsys):
    from cli.app import run

    monkeypatch.chdir(tmp_path)
    assert run([*words.split(), "--json"]) != 0
    printed = json.loads(capsys.readouterr().err.splitlines()[-1])
    with pytest.raises(KDError) as refusal:
        call()
    assert (printed["kind"], printed["message"], printed["hint"]) == (
        refusal.value.kind,
        refusal.value.message,
        refusal.value.hint,
    )


def test_every_key_of_a_table_of_keywords_is_taken():
    """A key that is written down and then forgotten would be a TypeError far from here."""
    from kdcache.api import build_options
    from students.api.training import _training

    build_options(**dict.fromkeys(BuildKeywords.__annotations__))
    _training(dict.fromkeys(TrainKeywords.__annotations__))
    assert MachineKeywords.__annotations__.keys() < TrainKeywords.__annotations__.keys()
