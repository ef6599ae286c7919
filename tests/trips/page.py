"""docs/results/trips.md, written anew from trips.json: nothing in it that was not measured.

Input: the columns. Output: one table a command, a column a label, and below it where every scan and opening came from.
"""

from typing import Any

from tests.trips.column import Column

TEXT = """# Trips: what happens during a command

This page shows for some commands how many source files they run through, how often they list the images and open a cache, and how
long they take. Every column was measured by this command:

{heads}

Files, scans and openings are counted in one run, and times measured in others; each run of all commands is in a new folder. "In
it" means the process of the command itself, "in children" all processes that it starts.

- A file counts when one of its functions is entered by any thread of the command (`sys.setprofile`), also while modules are
  imported. Files entered by child processes are not counted.
- A scan is a call of the method `scan` of any class, except from within another scan.
- An opening is a call of `open` of a class `Store` or `Cache`, except of the store that a cache opens.
- "plan.json opened to be read" counts every time that a file of this name is opened for reading.
- Seconds are wall-clock time, which is longer if other work runs on the machine. Seconds of a core are the processor time of the
  command and its children on all cores.

{tables}

All entered files, the call stacks of scans and openings, and the seconds of every run:
[trips.json](trips.json).
"""
TOLD = (
    ("scan", "Where the scans come from"),
    ("open", "Where the openings come from"),
    ("plan", "Where a plan.json is read outside any opening"),
)
_NEAREST = 5
"""lines told of each way here; all are in trips.json"""


def page(columns: dict[str, Column]) -> str:
    """All of it."""
    heads = "\n".join(
        f"- {label}: `{one['command']}`, {one['machine']}; load average {one['load']:.2f} when the timing "
        f"began, that of the counted run in it, {one['rounds']} runs timed"
        for label, one in columns.items()
    )
    commands = dict.fromkeys(command for one in columns.values() for command in one["commands"])
    return TEXT.format(heads=heads, tables="\n\n".join(_section(command, columns) for command in commands))


def _section(command: str, columns: dict[str, Column]) -> str:
    """One command: its figures side by side, and its ways under each label."""
    by_label = {label: one["commands"][command] for label, one in columns.items() if command in one["commands"]}
    rows = dict.fromkeys(row for one in by_label.values() for row in one["figures"])
    lines = [[row, *(str(one["figures"].get(row, "–")) for one in by_label.values())] for row in rows]
    pieces = [f"## `{command}`", _table(["", *by_label], lines)]
    for label, one in by_label.items():
        started = ", ".join(f"{times} × `{process}`" for process, times in one["children"].items())
        pieces += [f"Child processes, {label}: {started}"] if started else []
        pieces += [f"{words}, {label}:\n\n{ways}" for kind, words in TOLD if (ways := _ways(one["origins"], kind))]
    return "\n\n".join(pieces)


def _ways(origins: list[dict[str, Any]], kind: str) -> str:
    """Where they came from, nearest line first."""
    return "\n".join(
        f"- {one['times']} × {one['what']} in `{one['process']}`: {' < '.join(f'`{site}`' for site in one['sites'][:_NEAREST])}"
        for one in origins
        if one["kind"] == kind and not one["inner"]
    )


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---", *("---:" for _ in head[1:])], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
