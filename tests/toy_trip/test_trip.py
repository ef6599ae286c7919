"""A package of other people goes the whole way, under names that were drawn at random and that no file of ours can know."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.docs.blocks import blocks_of
from tests.toy_trip.renamed import TOY, drawn, install, pip_install
from tests.toy_trip.trip import ROOT, Ran, environment, run

pytestmark = pytest.mark.slow

OURS = ("kdcache", "students", "cli", "configs")


@pytest.fixture(scope="module")
def names() -> dict[str, str]:
    return drawn()


@pytest.fixture(scope="module")
def package(names: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trip") / "site"
    install(folder, names)
    return folder


@pytest.fixture(scope="module")
def trip(names, package, tmp_path_factory) -> tuple[Path, dict[str, Ran]]:
    """Folder, and each command by a name. Two processes: what opens the teacher before the trainings is in the first."""
    toy, folder = names["toy"], tmp_path_factory.mktemp("trip")
    images, held = f"{names['greys']}:count=24", f"{names['greys']}:split=val,count=8"
    build = f"cache build --teacher {toy} --data {images} --workers 0 --json --codec {names['shades']}"
    train = f"train --student {toy}-small --val {held} --workers 0 --json"
    first = {
        "teachers": "teacher list --json",
        "students": "student list --json",
        "student": f"student show {toy}-small --json",
        "build": f"{build}={names['three-bytes']} --out c",
        "build exactly": f"{build}=exact --out e",
    }
    then = {
        "off": f"{train} --cache c --out off",
        "off exactly": f"{train} --cache e --out off-exactly",
        "stopped": f"{train} --cache c --out halves --stop-at 2",
        "resumed": "train --resume halves --workers 0 --json",
        "eval": "eval off --json",
        "report": "report off --json",
        "export": f"student export off --format {names['listing']} --out exported --json",
        "on": f"{train} --cache e --out on --stream on",
        "verify": "cache verify c --replay 8 --teacher 8 --json",
        "compare": f"compare on-stream off-stream --student {toy}-small --data {images} --out compared --steps 2"
        " --repeat 1 --workers 0 --val none --json",
    }
    ran = [
        run(package, folder, list(commands.values()), watched=(f"{names['kd_toy']}.tower",))
        for commands in (first, then)
    ]
    return folder, dict(zip([*first, *then], [*ran[0], *ran[1]], strict=True))


def test_no_file_of_ours_contains_its_names(names):
    drawn_words = [word.encode() for word in names.values()]
    files = [path for part in OURS for path in (ROOT / part).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert files
    assert [str(path) for path in files if any(word in path.read_bytes() for word in drawn_words)] == []


def test_it_is_listed_with_ours(trip, names):
    toy, (_, ran) = names["toy"], trip
    assert toy in [each["name"] for each in ran["teachers"].answer]
    assert f"{toy}-small" in [each["name"] for each in ran["students"].answer]
    shown = ran["student"].answer
    assert shown["heads"] == [names["generate"]]
    assert shown["exports"] == [names["listing"]]


def test_its_signals_keep_their_kind_axes_and_lengths(trip, names):
    plan = json.loads((trip[0] / "c/plan.json").read_text())
    words, shades, odds = plan["signals"]
    assert plan["dataset"]["source"] == {"kind": names["greys"], "count": 24, "split": "train"}
    assert words["signal"] | {"shape": None} == {
        "name": names["words"], "shape": None, "grid": None, "kind": "codes", "lengths": True, "vocabulary": 8,
    }  # fmt: skip
    assert shades["signal"]["axes"] == ["tile", "colour"]
    assert (odds["signal"]["kind"], odds["signal"]["lengths"]) == ("distribution", True)
    assert odds["signal"].get("axes", ["position", "class"]) == ["position", "class"]
    assert (words["codec"], shades["codec"], odds["codec"]) == ("codes", names["three-bytes"], "full")


def test_its_cache_is_replayed_and_its_teacher_asked_again(trip):
    assert trip[1]["verify"].answer


def test_on_stream_and_off_stream_learn_the_same(trip):
    """Where the cache keeps what the teacher emits to the bit."""
    folder, ran = trip
    assert ran["off exactly"].answer
    on, off = load_file(folder / "on/best.safetensors"), load_file(folder / "off-exactly/best.safetensors")
    assert on.keys() == off.keys()
    assert all(torch.equal(tensor, off[name]) for name, tensor in on.items())
    rounded = load_file(folder / "off/best.safetensors")
    assert not all(torch.equal(tensor, rounded[name]) for name, tensor in on.items()), "three bytes are not four"


def test_off_stream_no_module_of_its_teacher_is_imported(trip):
    _, ran = trip
    without = (
        "teachers",
        "students",
        "student",
        "off",
        "off exactly",
        "stopped",
        "resumed",
        "eval",
        "report",
        "export",
    )
    assert [name for name in without if len(ran[name].imported) > 1] == []
    assert len(ran["build"].imported) == len(ran["on"].imported) == 2


def test_its_run_is_judged_reported_and_exported(trip, names):
    folder, ran = trip
    judged = ran["eval"].answer
    assert judged["task"] == names["reading"]
    assert judged["images"] == 8
    assert names["spelling"] not in judged
    page = (folder / "off/report.html").read_text("utf-8")
    assert "words right" in page or f"{names['words']} right" in page
    assert f"spell.{names['words']}" in page
    text = (folder / "exported/listing.txt").exists() or (folder / f"exported/{names['listing']}.txt").exists()
    assert text
    assert (
        load_file(folder / "exported/weights.safetensors").keys() == load_file(folder / "off/best.safetensors").keys()
    )


def test_the_comparison_is_scored_by_its_task(trip, names):
    result = json.dumps(trip[1]["compare"].answer)
    assert names["reading"] in result or f"{names['words']} right" in result
    assert (trip[0] / "compared/report.html").is_file()


def test_its_constraint_holds(trip):
    weights = load_file(trip[0] / "off/best.safetensors")
    assert max(float(tensor.abs().max()) for tensor in weights.values()) <= 2.0


def test_resumed_is_as_if_it_had_not_been_stopped(trip):
    folder, _ = trip
    whole, halves = (load_file(folder / run / "best.safetensors") for run in ("off", "halves"))
    assert whole.keys() == halves.keys()
    assert all(torch.equal(tensor, halves[name]) for name, tensor in whole.items())


def test_it_keeps_every_contract(package):
    """With the suites that ship in kdcache.testing and students.testing."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib",
         str(package.with_name("site-source") / "tests")],
        cwd=package, env=environment(package), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_its_readme_names_its_parts_and_its_commands_do_what_they_say(tmp_path):
    readme = TOY / "README.md"
    (block,) = (each.text for each in blocks_of(readme) if each.language == "sh")
    pip, *commands = block.strip().split("\n")
    assert pip == "pip install tests/toy"
    pip_install(TOY, tmp_path / "site")
    listed, *_ = run(tmp_path / "site", tmp_path / "w", [line.removeprefix("kd ") for line in commands])
    assert "toy-small" in listed.out
    assert "0.0 M" not in listed.out, "small as it is, it has parameters"
    assert (tmp_path / "w/exported/listing.txt").is_file()
    named = set(re.findall(r"`([\w./-]+)`", readme.read_text("utf-8")))
    modules = {path.name for path in (TOY / "kd_toy").glob("*.py")} - {"__init__.py"}
    assert modules <= named, "every module stands in it"
    assert {name for name in named if name.endswith(".py")} <= {*modules, "tests/test_contracts.py"}
