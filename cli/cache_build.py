"""`kd cache build`: run a teacher once and store what it emits."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as o
from cli.build_options import build_options
from cli.cache_plan import print_plan
from cli.command import command
from cli.output import Ui
from cli.text import duration, on_a_line, pairs, plural, size, speed

if TYPE_CHECKING:
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
Only = Annotated[str | None, typer.Option("--only", metavar="I/N", help="Build share I of N of the parts.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "build", examples=BUILD, shared=build_options, resumable=True)(build)


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
        print_plan(ui, options, out)
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
