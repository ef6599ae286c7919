"""`kd cache verify` and `kd cache repair`."""

import shlex
from math import isfinite
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.text import on_a_line, pairs, plural
from kdcache.base.newest import newest_cache
from kdcache.errors import Damage, Drift, Incomplete

if TYPE_CHECKING:
    from kdcache.check.sampling import VerifyReport

VERIFY = """
kd cache verify
kd cache verify c2 --replay 200 --teacher 200
kd cache verify theirs --untrusted         # a cache from a stranger, before it is used
"""
REPAIR = """
kd cache repair c2                          # list what is damaged
kd cache repair c2 --yes                    # remove it
kd cache build --out c2                     # build it again
"""
Replay = Annotated[
    int, typer.Option("--replay", metavar="N", min=0, help="Render N stored views again and compare their pixels.")
]
Rerun = Annotated[
    int,
    typer.Option(
        "--teacher", metavar="N", min=0, help="Run the teacher again on N stored views and compare its output."
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance", metavar="X", help="Largest distance that --teacher accepts. Default: that of the codec."
    ),
]
Untrusted = Annotated[
    bool,
    typer.Option(
        "--untrusted", help="Treat the cache as hostile: check all sizes and paths before any file is mapped."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove the damaged parts. Default: only list them.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "verify", examples=VERIFY)(verify)
    command(app, "repair", examples=REPAIR)(repair)


def verify(
    ui: Ui,
    cache: o.CachePath = None,
    replay: Replay = 0,
    teacher: Rerun = 0,
    tolerance: Tolerance = None,
    data: o.DataNow = None,
    weights: o.WeightsFile = None,
    head: o.HeadFile = None,
    device: o.Devices = None,
    workers: o.Workers = None,
    seed: o.Seed = 0,
    untrusted: Untrusted = False,
) -> int:
    """Check that every byte is as it was written and, on request, that pixels and teacher are still the same.

    Each finding names the part and the rows. Exit code 0: intact; 3: intact, but parts are missing; 4: damaged; 9: the bytes are
    intact, but the images, the libraries or the teacher have changed since. --seed selects other views to compare. --untrusted
    also reports links and pipes in the folder and decompresses every block; it stops at the first finding, before a byte is
    mapped. Unlike other commands, verify renders in its own process and uses the CPU unless --workers and --device are given.
    """
    from kdcache.check.sampling import VerifyOptions
    from kdcache.check.verify import verify as check

    ask = VerifyOptions(replay, teacher, tolerance, data, weights, head, device or "cpu", workers or 0, seed, untrusted)
    report = check(cache or newest_cache(), ask, ui.progress())
    state = "damaged" if report.damaged else "drifted" if not report.ok else "incomplete" if report.missing else "ok"
    facts = {
        "path": str(report.path),
        "state": state,
        "parts": report.parts,
        "parts_missing": report.missing,
        "replayed": report.replayed,
        "said_again": report.rerun,
        "distance": {name: far if isfinite(far) else None for name, far in report.distance.items()},
        "tolerance": report.tolerance,
        "findings": [finding.plain() for finding in report.findings],
        "warnings": [finding.plain() for finding in report.warnings],
    }
    ui.answer(facts, _checked(ui, report, state))
    for stray in report.warnings:
        ui.warn(str(stray))
    if not report.ok:
        for way in _ways_out(report, untrusted):
            ui.hint(way)
    return {"ok": 0, "incomplete": Incomplete.exit_code, "damaged": Damage.exit_code, "drifted": Drift.exit_code}[state]


def _ways_out(report: "VerifyReport", untrusted: bool) -> list[str]:
    """Hints for the findings, changed images and teachers first: a part built with those would differ from its neighbours."""
    from kdcache.store import Store
    from kdcache.store.again import way_to_mend
    from kdcache.store.drift import pixels_hint, teacher_hint

    if untrusted and report.damaged:
        return ["do not use this cache: get a complete copy from somebody you trust"]
    ways = []
    if report.pixels_drifted:
        ways.append(pixels_hint(report.path, Store.open(report.path).plan))
    if report.teacher_drifted:
        ways.append(teacher_hint(report.path, Store.open(report.path).plan))
    if report.damaged and all(finding.kind in ("foreign", "drift") for finding in report.findings):
        plan = report.path / "plan.json"
        ways.append(
            f"{plan} seems to belong to another cache: copy it from another copy of this cache; `repair` removes nothing"
        )
    elif report.damaged:
        ways.append(way_to_mend(report.path, Store.open(report.path).plan))
    return ways


def _checked(ui: Ui, report: "VerifyReport", state: str) -> str:
    lines = [("cache", str(report.path)), ("parts", f"{report.parts:,} read, {report.missing:,} missing")]
    if report.replayed:
        lines.append(("pixels", f"{plural(report.replayed, 'view')} rendered again"))
    for name, distance in report.distance.items():
        far = f"largest distance {distance:.2g}, allowed {report.tolerance[name]:.2g}"
        lines.append((name, f"{plural(report.rerun, 'view')} run through the teacher again, {far}"))
    found = [f"  {on_a_line(str(finding))}" for finding in report.findings]
    table = pairs([*lines, ("state", state)]).removesuffix(
        state
    )  # added in colour below: `pairs` removes control characters
    return "\n".join([table + ui.paint("ok" if state == "ok" else "error", state), *found])


def repair(ui: Ui, cache: o.CachePath = None, yes: Yes = False) -> int:
    """Find damaged parts and, with --yes, remove them so that a build can make them again.

    Only parts that differ from their receipts are removed. A file that cannot be read ends the command with exit code 8. Parts
    of another plan are kept, because plan.json may be the wrong file (exit code 6). Exit code 0: there is no damage left; 4:
    there is damage and --yes was not given, or damage that only a build can repair.
    """
    from kdcache.check.repair import repair as mend
    from kdcache.store import Store
    from kdcache.store.again import way_to_build

    found = mend(cache or newest_cache(), apply=yes, progress=ui.progress())
    names = [str(part) for part in found.parts]
    done = "removed" if found.applied else "damaged"
    lines = [f"{plural(len(names), 'part')} {done}, {plural(found.rows, 'row')}", *(f"  {name}" for name in names)]
    lines += [f"{'left' if found.applied else 'found'}: {on_a_line(str(finding))}" for finding in found.others]
    lines += [f"{plural(found.missing, 'part')} missing"] if found.missing else []
    facts = {"path": str(found.path), "parts": names, "rows": found.rows, "applied": found.applied}
    facts["parts_missing"] = found.missing
    others = [finding.plain() for finding in found.others]
    warnings = [finding.plain() for finding in found.warnings]
    ui.answer({**facts, "others": others, "warnings": warnings}, "\n".join(lines))
    for stray in found.warnings:
        ui.warn(str(stray))
    if (names or found.others) and not yes:
        ui.note(f"hint: kd cache repair {shlex.quote(str(found.path))} --yes")
    elif found.others or found.missing:
        ui.note(f"hint: {way_to_build(found.path, Store.open(found.path).plan)}")
    return 4 if found.others or (names and not found.applied) else 0
