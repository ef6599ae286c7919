"""JSON of strangers is read within bounds, at one place, or refused in one line."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from kdcache.base.plain_json import (
    LARGEST,
    MOST_BYTES,
    MOST_LEVELS,
    MOST_VALUES,
    SMALLEST,
    NotPlain,
    parse_json,
    read_json,
)
from kdcache.errors import Damage, UsageError

ROOT = Path(__file__).parents[1]
HOSTILE = {
    "lists 1,000 deep": b"[" * 1000 + b"]" * 1000,
    "lists a million deep": b"[" * 1_000_000,
    "objects 1,000 deep": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "a level too many": b"[" * (MOST_LEVELS + 1) + b"]" * (MOST_LEVELS + 1),
    "an integer of 5,000 digits": b"9" * 5000,
    "an integer beyond 64 bits": str(LARGEST + 1).encode(),
    "a negative one": str(SMALLEST - 1).encode(),
    "a key that is there twice": b'{"a": 1, "b": 2, "a": 3}',
    "half a character": rb'["\ud800"]',
    "no UTF-8": b'["\xff\xfe"]',
    "too many values": b"[" + b"0," * MOST_VALUES + b"0]",
    "too many bytes": b'"' + b"x" * MOST_BYTES + b'"',
    "nothing": b"",
    "no JSON": b"{'a': 1}",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_what_is_beyond_the_bounds_is_refused_at_once_and_said_in_one_short_line(raw):
    started = time.monotonic()
    with pytest.raises(NotPlain) as refused:
        parse_json(raw)
    assert time.monotonic() - started < 5
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)


def test_what_is_within_them_is_read_as_it_stands():
    deep = json.loads("[" * (MOST_LEVELS - 1) + "]" * (MOST_LEVELS - 1))
    values = {"numbers": [LARGEST, SMALLEST, 0.5, -1e300], "text": "é \U0001f600 \\ud800", "deep": deep, "none": None}
    assert parse_json(json.dumps(values)) == values
    assert parse_json(json.dumps(values, ensure_ascii=False).encode()) == values


def test_many_shallow_objects_are_not_deep():
    assert len(parse_json(json.dumps([{"a": [1]}] * 1000))) == 1000


def test_a_file_is_named_whatever_is_wrong_with_it(tmp_path):
    file = tmp_path / "plan.json"
    file.write_bytes(b"[" * 1000)
    with pytest.raises(Damage, match=r"plan\.json cannot be used: .*deep") as refused:
        read_json(file, hint="bring it back")
    assert refused.value.hint == "bring it back"
    with pytest.raises(UsageError, match=r"has 1,000 bytes, at most 10 are read"):
        read_json(file, hint="", error=UsageError, most_bytes=10)


def test_a_pipe_and_a_device_are_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "plan.json")
    for path in (tmp_path / "plan.json", Path("/dev/zero")):
        with pytest.raises(Damage, match="is not a file"):
            read_json(path, hint="")


def test_json_is_read_nowhere_else():
    """A call of `json.load` or of pydantic's own parser would believe a stranger. The pipe to a process of ours is none."""
    allowed = {"kdcache/base/plain_json.py", "kdcache/base/strict.py", "kdcache/base/own_process.py"}
    allowed.add("students/export/prepare.py")  # it leaves with a student, and reads the numbers beside it without kd
    calls = re.compile(r"json\.loads?\(|model_validate_json\(")
    packages = (path for name in ("kdcache", "students", "cli") for path in (ROOT / name).rglob("*.py"))
    found = {path.relative_to(ROOT).as_posix() for path in packages if calls.search(path.read_text("utf-8"))}
    # The shipped suites read back what they have just written themselves.
    assert {place for place in found if "/testing/" not in place} <= allowed


def test_yaml_is_read_nowhere_else():
    calls = re.compile(r"yaml\.(safe_|full_|unsafe_)?load")
    packages = (path for name in ("kdcache", "students", "cli") for path in (ROOT / name).rglob("*.py"))
    found = {path.relative_to(ROOT).as_posix() for path in packages if calls.search(path.read_text("utf-8"))}
    assert found == {"kdcache/config/plain_yaml.py"}
