"""`kd cache build` and `kd cache plan`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.build_options import build_options
from cli.command import command
from cli.output import Ui
from cli.text import columns, duration, errors, legend, number, on_a_line, pairs, plural, size, speed
from kdcache.errors import UsageError

if TYPE_CHECKING:
    from kdcache.build.estimate import Estimate
    from kdcache.build.options import BuildOptions
    from kdcache.build.run import BuildResult

BUILD = """
kd cache build --teacher florence
kd cache build --teacher clip --format zarr --views 3 --recipe augment --out c2
kd cache build --teacher florence --data photos/ --size nano --signal logits,embedding,features
kd cache build --teacher timm:resnet18 --weights random --data photos/ --signal embedding
kd cache build --out c2                 # continue a build that was stopped
kd cache build --out c2 --only 3/16     # the third of sixteen shares, on this machine
"""
PLAN = """
kd cache plan --teacher florence --size huge --data photos/ --views 90 --recipe augment
kd cache plan --teacher clip --signal logits,embedding --json
"""
Only = Annotated[str | None, typer.Option("--only", metavar="I/N", help="Build share I of N of the parts.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "build", examples=BUILD, shared=build_options, resumable=True)(build)
    command(app, "plan", examples=PLAN, shared=build_options)(plan)


def build(ui: Ui, options: "BuildOptions", out: o.Out = None, only: Only = None, dry_run: o.DryRun = False) -> int:
    """Run a teacher once over every image and store what it emits.

    To resume a stopped build, run the same command again, or give only --out: complete parts are kept. Without --data the
    generated set `shapes` is used, with the small teacher that ships in the package. Exit code 3: done, but some images could
    not be read (see rejected.jsonl), or parts are missing, as after one of several shares.
    """
    share = o.share(only)
    from kdcache.build.begin import begin, check_teacher

    check_teacher(options, out)
    if dry_run:
        return _would(ui, options, out, share)
    from kdcache.build.run import build as run_build

    prepared = begin(options, out, ui.progress())
    there = (prepared.out / "plan.json").is_file()
    ui.note(f"{'resuming' if there else 'building'} {prepared.out}")
    result = run_build(prepared, only=share, progress=ui.progress())
    summary = {**asdict(result), "complete": result.complete, "images_per_second": result.images_per_second}
    ui.answer({**summary, "path": str(result.path)}, _built(result))
    return 0 if result.complete and not result.rejected else 3


def _would(ui: Ui, options: "BuildOptions", out: Path | None, share: tuple[int, int] | None) -> int:
    """Print what a build would do: the estimate for a new cache, or the missing parts of an existing one."""
    if out is None or not (out / "plan.json").is_file():
        plan(ui, options, out)
        return 0
    from kdcache.build.begin import begin
    from kdcache.build.run import share_of
    from kdcache.store import Store

    begin(options, out, ui.progress())
    store = Store.open(out)
    parts, absent = len(store.plan.parts()), set(store.missing())
    todo = sum(part in absent for part in share_of(store.plan.parts(), share))
    rejected = len(store.bad_rows())
    left = f"{todo:,} of {plural(parts, 'part')} would be built" if todo else "nothing to build"
    text = f"{on_a_line(str(out))}: {left}"
    facts = {"path": str(out), "parts": parts, "parts_missing": len(absent), "parts_to_build": todo}
    ui.answer({**facts, "rejected": rejected}, text)
    return 3 if rejected or todo < len(absent) else 0


def _built(result: "BuildResult") -> str:
    missing = f", {plural(result.parts_missing, 'part')} still missing" if result.parts_missing else ""
    made = plural(result.parts_built, "part") if result.parts_built else "nothing to build"
    took = f"{speed(result.images_per_second)}, {duration(result.seconds)}" if result.parts_built else ""
    lines = [
        ("cache", str(result.path)),
        ("holds", f"{plural(result.rows, 'image')} × {plural(result.views, 'view')}, {size(result.bytes)}{missing}"),
        ("this run", ", ".join(filter(None, (made, took)))),
    ]
    if result.rejected:
        lines.append(("rejected", f"{plural(result.rejected, 'image')}, see {result.path / 'rejected.jsonl'}"))
    return pairs(lines)


def plan(ui: Ui, options: "BuildOptions", out: o.Out = None) -> None:
    """Estimate the cost of a build: bytes for each signal and codec, hours, free disk space.

    To measure, one batch is rendered and run through the teacher. Nothing is written, and no checkpoint is downloaded.
    """
    if not options.teacher:
        from kdcache.build.begin import START

        raise UsageError("no --teacher", hint=START)
    ui.note(f"measuring {options.teacher}{f'-{options.size}' if options.size else ''}")
    from kdcache.build.estimate import estimate

    bill = estimate(options, out, progress=ui.progress())
    for note in bill.notes:
        ui.note(note.text)
    for warning in bill.warnings:
        ui.warn(warning)
    if not bill.fits:
        ui.warn(f"not enough disk space: {size(bill.total_bytes)} are needed, {size(bill.free_bytes)} are free")
    ui.answer({**asdict(bill), "notes": [note.text for note in bill.notes], "fits": bill.fits}, _bill(bill))


def _bill(bill: "Estimate") -> str:
    head = pairs(
        [
            ("teacher", f"{bill.teacher} on {bill.device}, {bill.batch} images at a time"),
            ("views", f"{plural(bill.rows, 'image')} × {plural(bill.views, 'view')}, {plural(bill.parts, 'part')}"),
            (
                "speed",
                f"teacher {speed(bill.teacher_images_per_second)}, rendering {speed(bill.render_images_per_second)}",
            ),
            ("time", duration(bill.hours * 3600)),
            (
                "disk",
                f"{size(bill.total_bytes)} ({size(bill.overhead_bytes)} beside the rows) of {size(bill.free_bytes)} free",
            ),
        ]
    )
    rows = [["signal", "shape", "codec", "bytes/row", "total", "measured error"]]
    for cost in bill.costs:
        shape = "×".join(str(n) for n in cost.shape)
        codec = f"{cost.codec} *" if cost.chosen else cost.codec
        error = errors(cost.error) or "n/a (too few images, or random weights)"
        rows.append([cost.signal, shape, codec, number(cost.bytes_per_row), size(cost.total_bytes), error])
    table = f"{columns(rows, right=(3, 4))}\n\n* chosen"
    return "\n\n".join(filter(None, (head, table, legend(cost.error for cost in bill.costs))))
