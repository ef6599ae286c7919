"""`make fuzz`: ten minutes of it; `python -m tests.fuzz CASE` replays one case.

    python -m tests.fuzz [--minutes N] [--seed N] [--target NAME …]

Failures do not end it: one of each kind is shown, and kept in kd/fuzz-failures.jsonl with the case that replays it.
"""

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from tests.fuzz.all import STRATEGIES
from tests.fuzz.case import Case
from tests.fuzz.search import cases_until
from tests.fuzz.watch import Watch, command, wrong


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("case", nargs="?", help="a case to replay, as a line of JSON")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--target", nargs="*", default=sorted(STRATEGIES), choices=sorted(STRATEGIES))
    parser.add_argument("--failures", type=Path, default=Path("kd/fuzz-failures.jsonl"))
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    options = parser.parse_args(words)
    if options.case:
        return replay(Case.read(options.case))
    return search(options.minutes, options.seed, options.target, options.failures, options.jobs)


def replay(case: Case) -> int:
    """One case, everything that came of it."""
    with Watch() as watch:
        ends = watch.run(case)
    for name, (end, details) in ends.items():
        print(f"{name:20} {end:12} {details}")
    return 1 if wrong(ends) else 0


def search(minutes: float, first: int, targets: list[str], failures: Path, jobs: int) -> int:
    """Cases until the time is up; 0 when nothing but KDErrors came of them."""
    print(f"seed {first}, {minutes:g} minutes, targets: {', '.join(targets)}", flush=True)
    tally = Tally({name: Counter() for name in targets}, failures)
    cases = cases_until(time.monotonic() + 60 * minutes, first, targets)
    drawing = Lock()

    def work() -> None:
        with Watch() as watch:
            while True:
                with drawing:
                    case = next(cases, None)
                if case is None:
                    return
                tally.add(case, watch.run(case))

    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(work) for _ in range(jobs)]:
            done.result()
    return tally.summed_up()


@dataclass
class Tally:
    """What came of all cases."""

    counts: dict[str, Counter[str]]
    failures: Path
    kinds: Counter[str] = field(default_factory=Counter)
    lock: Any = field(default_factory=Lock)

    def add(self, case: Case, ends: dict[str, list[str]]) -> None:
        """Count a case; the first failure of each kind is shown and kept."""
        with self.lock:
            self.counts[case.target].update(kind for kind, _ in ends.values())
            self.counts[case.target]["cases"] += 1
            for line in wrong(ends):
                kind = kind_of(line)
                self.kinds[kind] += 1
                if self.kinds[kind] == 1:
                    print(f"FAILED {case.target}: {line}\n  {command(case)}", flush=True)
                    self.failures.parent.mkdir(parents=True, exist_ok=True)
                    with self.failures.open("a") as file:
                        file.write(json.dumps({"what": line, "case": case.line}) + "\n")

    def summed_up(self) -> int:
        """The table and the last line; 0 when nothing failed."""
        table(self.counts)
        cases = sum(count["cases"] for count in self.counts.values())
        if self.kinds:
            total = sum(self.kinds.values())
            print(f"{cases:,} cases, {total:,} failures of {len(self.kinds)} kinds: see {self.failures}")
            return 1
        print(f"{cases:,} cases: nothing but KDErrors")
        return 0


def kind_of(line: str) -> str:
    """What a failure has in common with others: its kind and where it came from."""
    name, end, details = line.split(": ", 2)
    what, _, where = details.partition(" at ")
    return (
        f"{end} {what.partition(':')[0]} {where.partition(' < ')[0]}"
        if end == "bug"
        else f"{name} {end} {details[:40]}"
    )


def table(counts: dict[str, Counter[str]]) -> None:
    """Target by outcome."""
    kinds = sorted({kind for count in counts.values() for kind in count} - {"cases"})
    print(" ".join(["target".ljust(14), "cases".rjust(7), *(kind.rjust(max(8, len(kind))) for kind in kinds)]))
    for target, count in counts.items():
        cells = [f"{count[kind]:,}".rjust(max(8, len(kind))) for kind in kinds]
        print(" ".join([target.ljust(14), f"{count['cases']:,}".rjust(7), *cells]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
