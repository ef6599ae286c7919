"""What a stranger may do to a run, its checkpoint, its weights and a preset, and what a user does with them afterwards."""

import functools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash
from hypothesis import strategies as st

from tests.fuzz.caches import GOLDEN, boxed, changed, read_golden
from tests.fuzz.case import Case
from tests.fuzz.hostile import byte_edits, edited, json_changes

RUNS = ("whole", "stopped", "finetuned-stopped", "dense-stopped")
CHECKPOINT = "checkpoints/00000004"
TENSORS = ("best.safetensors", *(f"{CHECKPOINT}/{name}.safetensors" for name in ("model", "average", "optimiser")))
PRESETS = {
    "students": ("tinyvit-golden.yaml", "data2vec-golden.yaml"),
    "recipes": ("demo.yaml", "data2vec-nano.yaml"),
    "views": ("augment.yaml",),
}
CONFIGS = Path(__file__).parents[2] / "configs"

golden_runs = st.sampled_from(RUNS).map(lambda name: f"runs/{name}")


@st.composite
def record_cases(draw: st.DrawFn) -> Case:
    """Changes of run.json."""
    golden = draw(golden_runs)
    record = json.loads(read_golden(golden, "run.json"))
    changes = draw(st.lists(json_changes(record), min_size=1, max_size=3))
    return Case("run", golden, "run.json", tuple(changes))


@st.composite
def text_cases(draw: st.DrawFn) -> Case:
    """Edits of the bytes of its text files."""
    golden = draw(golden_runs)
    names = [
        name
        for name in ("run.json", "metrics.jsonl", "evals/classify-shapes-val.json")
        if (GOLDEN / golden / name).exists()
    ]
    name = draw(st.sampled_from(names))
    edits = draw(st.lists(byte_edits(len(read_golden(golden, name))), min_size=1, max_size=3))
    return Case("run-bytes", golden, name, tuple(edits))


@st.composite
def metrics_cases(draw: st.DrawFn) -> Case:
    """Changes of one line of metrics.jsonl, or of an evaluation."""
    golden = draw(golden_runs)
    name = draw(st.sampled_from(("metrics.jsonl", "evals/classify-shapes-val.json")))
    if not (GOLDEN / golden / name).exists():
        name = "metrics.jsonl"
    lines = read_golden(golden, name).splitlines() if name.endswith("l") else [read_golden(golden, name)]
    number = draw(st.integers(0, len(lines) - 1))
    record = json.loads(lines[number])
    changes = draw(st.lists(json_changes({"line": record}), min_size=1, max_size=3))
    return Case("metrics", golden, name, ({"line": number}, *changes))


@st.composite
def state_cases(draw: st.DrawFn) -> Case:
    """Changes of state.json of a checkpoint."""
    golden = draw(golden_runs.filter(lambda name: name.endswith("stopped")))
    record = json.loads(read_golden(golden, f"{CHECKPOINT}/state.json"))
    changes = draw(st.lists(json_changes(record), min_size=1, max_size=3))
    return Case("state", golden, f"{CHECKPOINT}/state.json", tuple(changes))


@st.composite
def tensor_cases(draw: st.DrawFn) -> Case:
    """Changes of the header of a file of tensors, or edits of its bytes; digests are made right where there are any."""
    golden = draw(golden_runs)
    name = draw(st.sampled_from([name for name in TENSORS if (GOLDEN / golden / name).exists()]))
    content = read_golden(golden, name)
    if draw(st.booleans()):
        edits = draw(st.lists(byte_edits(len(content)), min_size=1, max_size=3))
        return Case("tensors", golden, name, ({"bytes": True}, *edits))
    changes = draw(st.lists(json_changes(header_of(content)), min_size=1, max_size=2))
    return Case("tensors", golden, name, ({"bytes": False}, *changes))


@st.composite
def preset_cases(draw: st.DrawFn) -> Case:
    """A preset as a file of somebody else: its values, or its bytes."""
    kind = draw(st.sampled_from(sorted(PRESETS)))
    name = draw(st.sampled_from(PRESETS[kind]))
    text = preset_of(kind, name)
    if draw(st.booleans()):
        return Case(
            "preset",
            "runs/whole",
            f"{kind}/{name}",
            tuple(draw(st.lists(byte_edits(len(text)), min_size=1, max_size=3))),
        )
    lines = text.decode().splitlines()
    number = draw(st.integers(0, len(lines) - 1))
    value = draw(st.one_of(st.sampled_from(YAML), st.text(max_size=8)))
    return Case("preset", "runs/whole", f"{kind}/{name}", ({"line": number, "value": value},))


YAML = (
    "*a", "&a [*a]", "!!python/object/apply:os.system [id]", "!!binary aGVsbG8=", "<<: *x", "? ", "{a: 1, a: 2}", "9" * 5000,
    "0x" + "f" * 5000, "[" * 1000, "[" * 1000 + "]" * 1000, "{a: " * 1000, "- " * 1000, "1_000:30:30", "2001-01-01", "1e400",
    ".nan", "-.inf", "~", "@", "%", "\t", '"\\e[31m"', '"\\u202e"', "|\n", "---\na: 1", "&x [a,a,a,a,a,a,a,a,a]", "1" + "0" * 30,
    "-1", "0", "2147483648", "1.5", "yes",
)  # fmt: skip


def preset_of(kind: str, name: str) -> bytes:
    """The text of a preset."""
    own = GOLDEN / "presets" / name
    return (own if own.exists() else CONFIGS / kind / name).read_bytes()


def header_of(content: bytes) -> Any:
    """The JSON at the beginning of a file of tensors."""
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def change(case: Case, box: Path) -> None:
    """Lay the caches beside the run, and do what the case says."""
    for name in ("caches/hdf5", "caches/dense", "teacher.pt", "presets"):
        source, copy = GOLDEN / name, box / "in" / name
        copy.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy)
    run = box / "in" / case.golden
    record = run / "run.json"
    root = json.loads((GOLDEN / "facts.json").read_text())["root"]
    record.write_text(record.read_text().replace(root, str(box / "in")))
    CHANGES[case.target](case, run, box)


def change_record(case: Case, run: Path, box: Path) -> None:
    path = run / case.file
    text = changed(json.loads(path.read_bytes()), case.changes)
    path.write_bytes(boxed(text, box).encode("utf-8", "surrogatepass"))


def edit_text(case: Case, run: Path, box: Path) -> None:
    path = run / case.file
    path.write_bytes(functools.reduce(edited, case.changes, path.read_bytes()))


def change_line(case: Case, run: Path, box: Path) -> None:
    path, (which, *changes) = run / case.file, case.changes
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    text = changed({"line": json.loads(lines[which["line"]])}, tuple(changes))
    match = re.fullmatch(r'\{"[^"]*": (.*)\}', text, re.DOTALL)
    lines[which["line"]] = match[1] if match else text
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))


def change_tensors(case: Case, run: Path, box: Path) -> None:
    path, (how, *changes) = run / case.file, case.changes
    before = path.read_bytes()
    if how["bytes"]:
        after = functools.reduce(edited, changes, before)
    else:
        header = changed(header_of(before), tuple(changes)).encode("utf-8", "surrogatepass")
        after = len(header).to_bytes(8, "little") + header + before[8 + int.from_bytes(before[:8], "little") :]
    path.write_bytes(after)
    state = path.parent / "state.json"
    if state.exists():
        old, new = (xxhash.xxh3_128_hexdigest(content) for content in (before, after))
        state.write_text(state.read_text().replace(old, new))


def write_preset(case: Case, run: Path, box: Path) -> None:
    kind, _, name = case.file.partition("/")
    text = preset_of(kind, name)
    if "value" in case.changes[0]:
        lines, (what,) = text.decode().splitlines(), case.changes
        key = lines[what["line"]].partition(":")[0]
        lines[what["line"]] = f"{key}: {what['value']}"
        text = "\n".join(lines).encode("utf-8", "surrogatepass")
    else:
        text = functools.reduce(edited, case.changes, text)
    (box / "in" / name).write_bytes(text)


CHANGES: dict[str, Callable[[Case, Path, Path], None]] = {
    "run": change_record,
    "run-bytes": edit_text,
    "metrics": change_line,
    "state": change_record,
    "tensors": change_tensors,
    "preset": write_preset,
}
STRATEGIES: dict[str, Callable[[], st.SearchStrategy[Case]]] = {
    "run": record_cases,
    "run-bytes": text_cases,
    "metrics": metrics_cases,
    "state": state_cases,
    "tensors": tensor_cases,
    "preset": preset_cases,
}
