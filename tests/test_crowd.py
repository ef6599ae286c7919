"""Records of nothing but mistakes: one short line, in seconds, and in no more memory than a few hundred megabytes."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from kdcache.base.plain_json import MOST_KEYS, MOST_LISTS, MOST_OBJECTS, MOST_VALUES, NotPlain, parse_json
from kdcache.base.strict import Strict
from kdcache.config.explain import MOST_LINES, explain
from kdcache.errors import UsageError
from kdcache.store.parts.receipt import Receipt
from kdcache.store.plan import PartId

READ = """
import json
from pathlib import Path
from kdcache.errors import Damage
from kdcache.store.plan import Plan
from kdcache.store.parts.receipt import Receipt

lines = []
many = [[0] * 490_000, [[0]] * 99_000, [{"a": 0}] * 200_000, [{}] * 9_000]
keyed = [{f"{kind}{number}": 0 for number in range(count)} for kind, count in (("", 199_000), ("x", 199_000), ("", 490_000))]
for record, text, plains in (
    (Plan, '{"dataset": {"classes": %s}}', many), (Receipt, '{"bad": %s}', keyed), (Plan, '%s', keyed[1:])
):
    for plain in plains:
        try:
            record.from_content(json.loads(text % json.dumps(plain)), Path("x"), what="a record", hint="")
        except Damage as refused:
            lines.append(str(refused))
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the process that started this one
most = int(status.partition("VmHWM:")[2].split()[0]) >> 10
print(json.dumps({"lines": lines, "megabytes": most}))
"""


@pytest.mark.slow
def test_a_record_of_nothing_but_mistakes_is_told_in_a_short_line_and_little_memory():
    """Pydantic keeps up to a kilobyte for each mistake, and makes all of them to tell the first."""
    done = json.loads(subprocess.run([sys.executable, "-c", READ], capture_output=True, check=True, timeout=120).stdout)
    assert len(done["lines"]) == 9
    assert all(line.startswith("x is not a record: ") and len(line) < 100 for line in done["lines"])
    assert done["megabytes"] < 700


@pytest.mark.parametrize("text", ["0,", "[],", '{"a":0},'])
def test_more_values_than_any_record_has_are_not_parsed(text):
    with pytest.raises(NotPlain, match=f"at most {MOST_VALUES:,} are read"):
        parse_json("[" + text * MOST_VALUES + "0]")


def test_a_receipt_that_could_not_be_read_back_is_not_written():
    plain = {"format": 1, "plan": "", "view": 0, "part": 0, "first_row": 0, "rows": 1 << 20, "compression": None}
    bad = dict.fromkeys(range(MOST_KEYS), "torn")
    receipt = Receipt(**plain, bad=bad, fields={}, files=(), facts={})
    assert receipt.id == PartId(0, 0)
    with pytest.raises(UsageError, match=f"would have more than {MOST_KEYS:,} keys") as refused:
        receipt.sealed()
    assert "--part-rows" in refused.value.hint


class Small(Strict):
    """A record of one number."""

    a: int = 0


def test_a_configuration_of_many_mistakes_tells_a_page_of_them():
    with pytest.raises(ValidationError) as refused:
        Small.from_plain({f"b{number}": 0 for number in range(200)})
    lines = explain(refused.value, Small, lambda key: "here", lambda key: "here")
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 150 more"


@pytest.mark.parametrize(("plain", "what"), [({"a": [{}] * MOST_OBJECTS}, "objects"), ([[]] * MOST_LISTS, "lists")])
def test_what_there_is_too_much_of_is_named(plain, what):
    with pytest.raises(ValueError, match=f"it has more than .* {what}"):
        Small.from_plain(plain)
