"""A student of another package learns from questions about its images and from their texts: an example is a question."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from kdcache.stream import Examples, Order
from tests.toy_trip.renamed import TOY, pip_install
from tests.toy_trip.trip import environment

pytestmark = pytest.mark.slow

WATCHED = Path(__file__).with_name("watched.py")
COUNTS = [2, 0, 3, 1, 1, 4, 0, 2, 1, 3, 2, 1, 0, 5, 1, 2, 3, 1, 2, 1]
"""Questions of each image."""
BATCH, STEPS, SEED = 8, 9, 0
"""36 questions: four steps an epoch."""
TRAIN = f"train --student asker-small --workers 0 --val none --steps {STEPS} --device cpu --json --keep-every 1 --log-every 1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip_install(TOY, folder)
    return folder


def write_pages(folder: Path) -> None:
    folder.mkdir()
    drawn = np.random.default_rng(0)
    lines = []
    for number, count in enumerate(COUNTS):
        Image.fromarray(drawn.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{number:02d}.png")
        asked = [{"question": f"{number}.{item}?", "answers": [f"{item}"]} for item in range(count)]
        lines.append({"image_id": f"{number:02d}.png", "questions": asked, "text": f"page {number}"})
    del lines[3]["text"]
    (folder / "truths.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def kd(site: Path, folder: Path, name: str, *commands: str, kill: int = 0, processes: int = 1) -> list[dict[str, Any]]:
    """Run commands in one process, or in several under torchrun; what they saw is in `name`.0, `name`.1 …"""
    words = folder / f"{name}.json"
    words.write_text(json.dumps([command.split() for command in commands]), "utf-8")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    line = [sys.executable, *(launcher if processes > 1 else []), str(WATCHED), name, str(kill), str(words)]
    done = subprocess.run(line, cwd=folder, env=environment(site), capture_output=True, text=True, timeout=280)
    assert (done.returncode != 0) == bool(kill), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def seen(folder: Path, name: str, rank: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.{rank}").read_text("utf-8").splitlines()]


def questions(folder: Path, name: str, rank: int = 0) -> list[str]:
    """Every question a student was trained on, in order."""
    return [each for line in seen(folder, name, rank) for each in line.get("questions", [])]


def expected() -> list[str]:
    """The order of `kdcache.stream` over the items, epoch by epoch, without the last incomplete batch of each."""
    examples = Examples.of_items(np.array(COUNTS))
    steps, found = len(examples) // BATCH, []
    for epoch in range(-(-STEPS // steps)):
        drawn = Order(examples, seed=SEED, epoch=epoch).slice(0, steps * BATCH)
        rows, items = examples.rows_of(drawn), examples.items_of(drawn)
        assert items is not None
        found += [f"{row}.{item}?" for row, item in zip(rows.tolist(), items.tolist(), strict=True)]
    return found[: STEPS * BATCH]


def same(folder: Path, one: str, other: str) -> bool:
    mine, theirs = (load_file(folder / run / "best.safetensors") for run in (one, other))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture(scope="module")
def trip(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache, and trainings off-stream, on-stream and without a teacher; one killed in its second epoch and resumed."""
    folder = tmp_path_factory.mktemp("trip")
    write_pages(folder / "pages")
    build = "cache build --teacher toy --data pages --workers 0 --codec shades=exact --out c --json"
    shown, *ran = kd(site, folder, "build", "student show asker-small", build)
    assert "the truths text, questions; an example for each of the questions" in " ".join(shown["out"].split())
    for name, stream in (("off", "--cache c"), ("on", "--cache c --stream on"), ("none", "--stream none --data pages")):
        extra = " --set views=augment" if name == "none" else ""
        ran += kd(site, folder, name, f"{TRAIN} --batch {BATCH} {stream} --micro 3 --out {name}{extra}")
    assert [each["code"] for each in ran] == [0, 0, 0, 0], [each["err"] for each in ran]
    asked = f"{sum(COUNTS):,} questions of {sum(count > 0 for count in COUNTS)} images"
    assert all(f"an example is one of the questions: {asked}" in each["err"] for each in ran[1:])
    return folder


@pytest.mark.parametrize("stream", ["off", "on", "none"])
def test_every_stream_trains_on_the_questions_in_one_order(trip: Path, stream: str) -> None:
    assert questions(trip, stream) == expected()


def test_on_stream_and_off_stream_learn_the_same(trip: Path) -> None:
    assert same(trip, "on", "off")
    assert not same(trip, "none", "off")


def test_each_question_comes_with_the_text_of_its_page(trip: Path) -> None:
    pairs = {
        (question.partition(".")[0], text)
        for line in seen(trip, "off")
        for question, text in zip(line.get("questions", []), line.get("text", []), strict=True)
    }
    assert ("3", None) in pairs
    assert all(text in (f"page {row}", None if row == "3" else text) for row, text in pairs)


def test_steps_an_epoch_count_questions_and_the_record_has_the_digests(trip: Path) -> None:
    record = json.loads((trip / "off/run.json").read_text("utf-8"))
    assert record["pacing"]["steps_an_epoch"] == sum(COUNTS) // BATCH == 4
    assert sorted(record["truths"]) == ["questions", "text"]
    assert record["truths"] == json.loads((trip / "none/run.json").read_text("utf-8"))["truths"]


def test_a_column_is_never_in_memory_as_a_whole(trip: Path) -> None:
    """A piece of three questions is of three pages at most; planning reads a bounded chunk (CHUNK of of_rows.py) at a time."""
    lines = seen(trip, "off")
    first = next(place for place, line in enumerate(lines) if "questions" in line)
    while_training = [line["read"] for line in lines[first:] if "read" in line]
    assert len(while_training) >= STEPS * 2
    assert max(while_training) <= 3


def test_killed_and_resumed_is_as_if_it_had_not_been(site: Path, trip: Path) -> None:
    """Killed in the second epoch, in the middle of a step."""
    train = f"{TRAIN} --batch {BATCH} --cache c --micro 3 --out killed"
    kd(site, trip, "killed", train, kill=3 * 6 + 2)
    (again,) = kd(site, trip, "again", "train --resume killed --workers 2 --device cpu --json")
    assert again["code"] == 0, again["err"]
    assert questions(trip, "again") == expected()[6 * BATCH :]
    assert same(trip, "killed", "off")


def test_two_processes_share_the_questions(site: Path, trip: Path) -> None:
    kd(site, trip, "both", f"{TRAIN} --batch {BATCH} --cache c --out both", processes=2)
    halves = [questions(trip, "both", rank) for rank in (0, 1)]
    each = BATCH // 2
    together = [
        question for step in range(STEPS) for half in halves for question in half[step * each : (step + 1) * each]
    ]
    assert together == expected()


def test_a_task_is_asked_question_by_question_about_images_without_classes(site: Path, trip: Path) -> None:
    shutil.copytree(trip / "pages", trip / "held")
    train = TRAIN.replace("--val none", "--val held")
    (trained, judged) = kd(
        site,
        trip,
        "judged",
        f"{train} --batch {BATCH} --cache c --out judged",
        "eval judged --json --device cpu",
    )
    assert [trained["code"], judged["code"]] == [0, 0], judged["err"]
    report = json.loads(judged["out"])
    unknown = COUNTS[3]
    assert (report["questions"], report["texts"]) == (sum(COUNTS), sum(COUNTS) - unknown)
    metrics = [json.loads(line) for line in (trip / "judged/metrics.jsonl").read_text("utf-8").splitlines()]
    validated = [line for line in metrics if line["kind"] == "val"]
    assert {line["questions"] for line in validated} == {sum(COUNTS)}
    assert report["right"] == max(line["score"] for line in validated) > 0
    assert sorted(json.loads((trip / "judged/run.json").read_text("utf-8"))["sets"][0]["truths"]) == [
        "questions",
        "text",
    ]
    file = trip / "held" / "truths.jsonl"
    file.write_text(file.read_text("utf-8").replace("page 7", "page 8"), "utf-8")
    again, elsewhere = kd(
        site, trip, "changed", "eval judged --device cpu", "eval judged --data shapes:count=8,size=32 --device cpu"
    )
    assert [again["code"], elsewhere["code"]] == [9, 6]
    assert "the truth text of the images of held has changed" in again["err"]
    assert "the task quiz needs the truths questions and text of the images of shapes-train" in elsewhere["err"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("page 7", "page 8"), "the truth text of the images of pages has changed"),
        (lambda text: text.replace('"answers": ["2"]', '"answers": ["3"]'), "the truth questions of the images of"),
        (lambda text: text.replace('"text"', '"description"'), "the images of pages have no truth text any more"),
    ],
)
def test_changed_truths_are_refused_when_resuming(
    site: Path, trip: Path, tmp_path: Path, change: Any, told: str
) -> None:
    shutil.copytree(trip / "pages", tmp_path / "pages")
    file = tmp_path / "pages" / "truths.jsonl"
    train = f"{TRAIN} --batch {BATCH} --stream none --data pages --set views=augment --out run --stop-at 2"
    (begun,) = kd(site, tmp_path, "begun", train)
    assert begun["code"] == 0, begun["err"]
    whole = file.read_text("utf-8")
    file.write_text(change(whole), "utf-8")
    (refused,) = kd(site, tmp_path, "refused", "train --resume run --workers 0 --device cpu")
    assert refused["code"] == 9
    assert told in refused["err"]


def test_a_missing_truth_is_refused_with_the_way_to_give_it(site: Path, trip: Path, tmp_path: Path) -> None:
    shutil.copytree(trip / "pages", tmp_path / "pages")
    file = tmp_path / "pages" / "truths.jsonl"
    file.write_text(file.read_text("utf-8").replace('"text"', '"description"'), "utf-8")
    train = f"{TRAIN} --batch {BATCH} --stream none --data pages --set views=augment --out run"
    one, other = kd(site, tmp_path, "missing", train, train.replace("pages", "shapes:count=16,size=32"))
    assert [one["code"], other["code"]] == [6, 6]
    assert "needs the truth text of the images of pages, which have questions" in one["err"].replace(
        "description, ", ""
    )
    assert "truths.jsonl" in one["err"]
    assert "truths.arrow" in one["err"]
    assert "needs the truths text and questions of the images of shapes-train" in other["err"]
    assert not (tmp_path / "run").exists()


def test_views_that_mix_images_are_refused(site: Path, trip: Path) -> None:
    train = f"{TRAIN} --batch {BATCH} --stream none --data pages --set views=tinyvit-1k --out mixed"
    (refused,) = kd(site, trip, "mixed", train)
    assert refused["code"] == 6
    assert "mix two images" in refused["err"]
