"""What a stranger may do to a cache, target by target: how a case is drawn, and how it is done to a copy."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz import right
from tests.fuzz.case import Case
from tests.fuzz.hostile import BOX, at, byte_edits, edited, json_changes, numbers, texts

GOLDEN = Path(__file__).parents[1] / "golden"
CACHES = ("hdf5", "zarr", "hdf5-zstd", "zarr-blosc", "converted", "plain", "dense", "photos", "imported")
COMPRESSED = ("hdf5-zstd", "zarr-blosc")
Rows = set[tuple[int, int]]
Loose = dict[str, Rows] | bool
"""field -> (view, row) whose values may differ from what they were; True: any may, False: none"""


def read_golden(golden: str, name: str) -> bytes:
    """A file of a golden."""
    return (GOLDEN / golden / name).read_bytes()


@functools.cache
def files_of(golden: str, pattern: str) -> tuple[str, ...]:
    """Names of the files of a golden."""
    root = GOLDEN / golden
    return tuple(sorted(str(path.relative_to(root)) for path in root.glob(pattern) if path.is_file()))


def golden_caches(names: tuple[str, ...] = CACHES) -> st.SearchStrategy[str]:
    return st.sampled_from(names).map(lambda name: f"caches/{name}")


@st.composite
def json_cases(draw: st.DrawFn, target: str, pattern: str) -> Case:
    """One to three changes of a sealed record."""
    golden = draw(golden_caches())
    name = draw(st.sampled_from(files_of(golden, pattern)))
    record = json.loads(read_golden(golden, name))
    record.pop("digest")
    changes = draw(st.lists(json_changes(record), min_size=1, max_size=3))
    return Case(target, golden, name, tuple(changes))


@st.composite
def byte_cases(draw: st.DrawFn, target: str, *patterns: str) -> Case:
    """One to three edits of the bytes of a file."""
    golden = draw(golden_caches())
    names = [name for pattern in patterns for name in files_of(golden, pattern)]
    name = draw(st.sampled_from(names or ["plan.json"]))
    edits = draw(st.lists(byte_edits(len(read_golden(golden, name))), min_size=1, max_size=3))
    return Case(target, golden, name, tuple(edits))


def changed(record: Any, changes: tuple[dict[str, Any], ...]) -> str:
    """A record after its changes, as JSON text."""
    raws: dict[str, str] = {}
    for number, change in enumerate(changes):
        *way, last = change["where"]
        try:
            holder = at(record, way)
            value = holder[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if not isinstance(holder, dict | list):
            continue  # an earlier change put a text there
        if change["how"] == "set":
            mark = f"@raw-{number}@"
            raws[json.dumps(mark)] = change["raw"]
            holder[last] = mark
        elif change["how"] == "add" and isinstance(value, dict):
            mark = f"@raw-{number}@"
            raws[json.dumps(mark)] = change["raw"]
            value[change["name"]] = mark
        elif change["how"] == "delete":
            del holder[last]
        elif change["how"] == "twice" and isinstance(holder, list):
            holder.insert(last, value)
        elif change["how"] == "twice":
            holder[f"{last}'"] = value  # type: ignore[call-overload]
        elif change["how"] == "rename" and isinstance(holder, dict):
            holder[change["name"]] = holder.pop(last)
    text = json.dumps(record)
    for mark, raw in raws.items():
        text = text.replace(mark, raw)
    return re.sub(r"(\w)'\":", r'\1":', text)  # a key written twice


@st.composite
def scaled_cases(draw: st.DrawFn) -> Case:
    """A field of a receipt that says it is some times as long, everything in the receipt in keeping with that."""
    golden = draw(golden_caches())
    name = draw(st.sampled_from(files_of(golden, "parts/*/*.json")))
    field = draw(st.sampled_from(sorted(json.loads(read_golden(golden, name))["fields"])))
    return Case("scaled", golden, name, ({"field": field, "by": draw(st.sampled_from((2, 3, 16, 1000, 65536)))},))


def scale_field(case: Case, cache: Path, box: Path) -> Loose:
    (change,), path = case.changes, cache / case.file
    record, by = json.loads(path.read_bytes()), change["by"]
    seal = record["fields"][change["field"]]
    seal["shape"] = [seal["shape"][0] * by, *seal["shape"][1:]]
    seal["nbytes"] *= by
    seal["blocks"] *= by
    seal["stored"] = seal["stored"] and seal["stored"] * by
    path.write_bytes(right.written(record))
    return False


def boxed(text: str, box: Path) -> str:
    """Absolute paths lead into the folder of the case."""
    return text.replace(BOX, str(box))


def change_plan(case: Case, cache: Path, box: Path) -> Loose:
    record = json.loads((cache / "plan.json").read_bytes())
    right.put_plan(cache, boxed(changed(record, case.changes), box).encode("utf-8", "surrogatepass"))
    return False


def change_receipt(case: Case, cache: Path, box: Path) -> Loose:
    record = json.loads((cache / case.file).read_bytes())
    right.seal_file(cache / case.file, boxed(changed(record, case.changes), box).encode("utf-8", "surrogatepass"))
    return False


def edit_plan(case: Case, cache: Path, box: Path) -> Loose:
    right.put_plan(cache, functools.reduce(edited, case.changes, (cache / "plan.json").read_bytes()))
    return False


def edit_receipt(case: Case, cache: Path, box: Path) -> Loose:
    path = cache / case.file
    right.seal_file(path, functools.reduce(edited, case.changes, path.read_bytes()))
    return False


def edit_index(case: Case, cache: Path, box: Path) -> Loose:
    right.put_index(cache, functools.reduce(edited, case.changes, (cache / "index.arrow").read_bytes()))
    return False


def edit_frame(case: Case, cache: Path, box: Path) -> Loose:
    path = cache / case.file
    path.write_bytes(functools.reduce(edited, case.changes, path.read_bytes()))
    return False


def edit_part(case: Case, cache: Path, box: Path) -> Loose:
    """Bytes of a part; the rows they hold may differ, and no other."""
    before = (cache / case.file).read_bytes()
    return put_part(cache, case.file, before, functools.reduce(edited, case.changes, before))


def put_part(cache: Path, name: str, before: bytes, after: bytes) -> Loose:
    receipt = receipt_for(cache, name)
    loose = rows_touched(json.loads(receipt.read_bytes()), name, before, after)
    right.put_part(cache, receipt, name, after)
    return loose


def receipt_for(cache: Path, name: str) -> Path:
    """The receipt that names a file."""
    named = [
        path for path in right.receipts_of(cache) if name in {f["path"] for f in json.loads(path.read_bytes())["files"]}
    ]
    return named[0]


def rows_touched(receipt: dict[str, Any], name: str, before: bytes, after: bytes) -> Loose:
    """Which rows of which fields lie in bytes that differ."""
    common = min(len(before), len(after))
    differ = np.frombuffer(before[:common], np.uint8) != np.frombuffer(after[:common], np.uint8)
    differ = np.concatenate([differ, np.ones(len(before) - common, bool)])
    touched: dict[str, Rows] = {}
    for field, seal in receipt["fields"].items():
        if seal["file"] != name or seal["per_part"]:
            continue
        rows: Rows = set()
        for number, (start, size) in enumerate(right.spans_of(seal)):
            first = number * seal["block_rows"]
            count = min(seal["block_rows"], receipt["rows"] - first)
            hit = differ[start : start + size]
            if seal["stored"] is not None:
                rows |= {first + row for row in range(count) if hit.any()}
            else:
                rows |= {first + row for row in np.flatnonzero(hit.reshape(count, -1).any(1)).tolist()}
        touched[field] = {(receipt["view"], receipt["first_row"] + row) for row in rows}
    return touched


SCALARS = re.compile(r'"([^"\\]{3,40})"|(?<![\w."])(\d{1,12})(?![\w."])')


@st.composite
def everywhere_cases(draw: st.DrawFn) -> Case:
    """A name or a number of the plan, exchanged wherever it stands in plan and receipts."""
    golden = draw(golden_caches())
    text = read_golden(golden, "plan.json").decode()
    receipt = read_golden(golden, draw(st.sampled_from(files_of(golden, "parts/*/*.json")))).decode()
    words = sorted({match[1] for match in SCALARS.finditer(text + receipt) if match[1]})
    counts = sorted({match[2] for match in SCALARS.finditer(text) if match[2]})
    if draw(st.booleans()):
        old = draw(st.sampled_from(words))
        new = draw(
            st.one_of(
                texts, st.sampled_from((f"../cache/{old}", f"{old}/../{old}", f"{BOX}/in/cache/{old}", f"./{old}"))
            )
        )
        return Case("everywhere", golden, "", ({"old": old, "new": new},))
    return Case("everywhere", golden, "", ({"number": draw(st.sampled_from(counts)), "new": str(draw(numbers))},))


def change_everywhere(case: Case, cache: Path, box: Path) -> Loose:
    (change,) = case.changes
    new = boxed(change["new"], box)
    for path in (*right.receipts_of(cache), cache / "plan.json"):
        text = path.read_text()
        if "old" in change:
            text = text.replace(change["old"], json.dumps(new)[1:-1])
        else:
            text = re.sub(rf'(?<![\w."]){change["number"]}(?![\w."])', new, text)
        content = text.encode("utf-8", "surrogatepass")
        right.put_plan(cache, content) if path.name == "plan.json" else right.seal_file(path, content)
    return True


TARGETS: dict[str, tuple[Callable[[], st.SearchStrategy[Case]], Callable[[Case, Path, Path], Loose]]] = {
    "plan": (lambda: json_cases("plan", "plan.json"), change_plan),
    "plan-bytes": (lambda: byte_cases("plan-bytes", "plan.json"), edit_plan),
    "receipt": (lambda: json_cases("receipt", "parts/*/*.json"), change_receipt),
    "receipt-bytes": (lambda: byte_cases("receipt-bytes", "parts/*/*.json"), edit_receipt),
    "scaled": (scaled_cases, scale_field),
    "everywhere": (everywhere_cases, change_everywhere),
    "index-bytes": (lambda: byte_cases("index-bytes", "index.arrow"), edit_index),
    "part-bytes": (lambda: byte_cases("part-bytes", "parts/*/*.h5", "views/*/*/c.*"), edit_part),
    "frame-bytes": (lambda: byte_cases("frame-bytes", "rejected.jsonl", "views/**/zarr.json"), edit_frame),
}
