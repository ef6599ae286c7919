"""What strangers write: values for fields of JSON, edits of bytes. Hypothesis strategies, plain JSON all of them.

A value is kept as the JSON text that takes its place, since some have no other form: numbers of 5,000 digits, lists 1,000 deep.
"""

import json
from typing import Any

from hypothesis import strategies as st

BOX = "{box}"
"""stands for the folder a case lives in, where a path must be absolute"""
NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    255,
    4095,
    4096,
    65535,
    2**31 - 1,
    2**31,
    2**32,
    10**9,
    2**40,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    10**30,
)
PATHS = (
    "../victim",
    "../../victim",
    "../../../victim",
    f"{BOX}/victim",
    "parts/../../outside.bin",
    "parts/v000/../../../outside.bin",
    "../outside.bin",
    ".",
    "",
    "/",
    "/dev/zero",
    "plan.json",
    "a/b",
    ".hidden",
    "nul\x00byte",
)
WORDS = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "over\rwritten",
    "right\u202eto left",
    "line\nbreak",
    "\x9b1m",
    "ü" * 300,
    "x" * 100_000,
    "\ud800",
    "NaN",
    "__class__",
    "%s{0}",
)
KNOWN = (
    "float32", "float16", "bfloat16", "int8", "full", "full:float16", "topk:10", "topk:0", "topk:-1", "topk:65536", "topk:5",
    "tinyvit:5", "tinyvit:99999999999", "<f4", "<f2", "<u2", "<u4", "<i8", "|i1", "|O", "|V8", "<U9", ">f4", "zstd:3", "zstd:99",
    "blosc:5", "blosc:-1",
    "zip:9", "hdf5", "zarr", "plain", "augment", "foreign", "data2vec", "run", "clip", "logits", "embedding",
    "distribution", "map", "vector", "codes", "position", "class", "view_digest", "random:0", "package:florence",
)  # fmt: skip
ADDED = ("kind", "axes", "lengths", "vocabulary", "grid", "via")
"""keys that a record may have and those of the goldens have not"""
ADDED_RAW = (
    "true",
    "false",
    "null",
    '"distribution"',
    '"codes"',
    '"vector"',
    '["class"]',
    '["position", "class"]',
    "[2, 3]",
    "256",
)
ODD = (
    "null",
    "true",
    "[]",
    "{}",
    '""',
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "0.5",
    "-0.0",
    "1e-320",
    "[null]",
    '{"a": {}}',
)
DEEP = ("[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000, "9" * 5000, "-" + "9" * 5000, "0." + "1" * 5000)

numbers = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS).map(lambda n: -n), st.integers(-(2**70), 2**70))
texts = st.one_of(st.sampled_from(PATHS), st.sampled_from(WORDS), st.sampled_from(KNOWN), st.text(max_size=12))
sizes = st.sampled_from((1, 2, 4, 8))


def raw_values(old: Any) -> st.SearchStrategy[str]:
    """JSON texts to stand where `old` stood: of its own kind more often than not."""
    other = st.one_of(st.sampled_from(ODD), st.sampled_from(DEEP), numbers.map(str), texts.map(json.dumps))
    if isinstance(old, bool) or old is None:
        return other
    if isinstance(old, int):
        near = st.integers(-16, 16).map(lambda by: str(old + by))
        times = st.sampled_from((2, 3, 1000, 4096, 2**32)).map(lambda by: str(old * by))
        return st.one_of(near, times, numbers.map(str), other)
    if isinstance(old, str):
        longer = st.sampled_from((old + "x", old[:-1], old * 2, f"../{old}", f"{old}/../{old}"))
        return st.one_of(texts.map(json.dumps), longer.map(json.dumps), other)
    if isinstance(old, list):
        again = st.sampled_from((old[1:], old + old[-1:], old[::-1], old * 1000, [old])).map(json.dumps)
        return st.one_of(again, other)
    return other


@st.composite
def json_changes(draw: st.DrawFn, record: Any) -> dict[str, Any]:
    """One change of a record: a value set, added, taken away, written twice, or put under another name."""
    if (objects := [way for way in places(record) if isinstance(at(record, way), dict)]) and draw(
        st.integers(0, 9)
    ) == 0:
        raw = draw(st.one_of(st.sampled_from(ADDED_RAW), numbers.map(str), texts.map(json.dumps)))
        return {"how": "add", "where": draw(st.sampled_from(objects)), "name": draw(st.sampled_from(ADDED)), "raw": raw}
    where = draw(st.sampled_from(places(record)))
    old = at(record, where)
    how = draw(st.sampled_from(("set", "set", "set", "set", "delete", "rename", "twice")))
    if how == "set":
        return {"how": how, "where": where, "raw": draw(raw_values(old))}
    if how == "rename":
        return {"how": how, "where": where, "name": draw(texts)}
    return {"how": how, "where": where}


def places(record: Any, above: tuple[Any, ...] = ()) -> list[list[Any]]:
    """The way to every value of a record, whole lists and objects too; long lists by their first and last members."""
    keys: list[Any] = list(record) if isinstance(record, dict) else []
    if isinstance(record, list):
        keys = sorted({0, 1, len(record) - 1} & set(range(len(record))))
    below = [way for key in keys for way in places(record[key], (*above, key))]
    return [list(above), *below] if above else below


def at(record: Any, where: list[Any]) -> Any:
    """The value at a place."""
    for key in where:
        record = record[key]
    return record


@st.composite
def byte_edits(draw: st.DrawFn, size: int) -> dict[str, Any]:
    """One edit of a file of so many bytes; places near its ends and of whole words are preferred."""
    most = max(size - 1, 0)
    near = st.one_of(st.integers(0, min(most, 512)), st.integers(max(0, most - 512), most), st.integers(0, most))
    place = draw(st.one_of(near, near.map(lambda at: at // 8 * 8), near.map(lambda at: at // 4096 * 4096)))
    how = draw(st.sampled_from(("flip", "number", "number", "cut", "insert", "remove", "zero", "ones", "copy")))
    if how == "flip":
        return {"how": how, "where": place, "bit": draw(st.integers(0, 7))}
    if how == "number":
        word = draw(sizes)
        number = draw(st.one_of(st.sampled_from(NUMBERS), st.integers(0, size + 16), st.integers(-300, -1)))
        return {"how": how, "where": place, "bytes": (number % 2 ** (8 * word)).to_bytes(word, "little").hex()}
    if how == "insert":
        return {"how": how, "where": place, "bytes": draw(st.binary(min_size=1, max_size=16)).hex()}
    length = draw(st.sampled_from((1, 2, 4, 8, 64, 512, 4096)))
    if how == "copy":
        return {"how": how, "where": place, "length": length, "from": draw(near)}
    return {"how": how, "where": place, "length": length}


def edited(content: bytes, edit: dict[str, Any]) -> bytes:
    """A file's content after an edit."""
    place, how = min(edit["where"], len(content)), edit["how"]
    length = min(edit.get("length", 0), len(content) - place)
    rest = content[place + length :]
    if how == "flip":
        return (
            content[:place] + bytes([content[place] ^ 1 << edit["bit"]]) + content[place + 1 :]
            if content[place:]
            else content
        )
    if how == "number":
        new = bytes.fromhex(edit["bytes"])
        return content[:place] + new + content[place + len(new) :]
    if how == "cut":
        return content[:place]
    if how == "insert":
        return content[:place] + bytes.fromhex(edit["bytes"]) + content[place:]
    if how == "copy":
        new = content[edit["from"] : edit["from"] + length]
        return content[:place] + new + content[place + len(new) :]
    return content[:place] + {"remove": b"", "zero": bytes(length), "ones": b"\xff" * length}[how] + rest
