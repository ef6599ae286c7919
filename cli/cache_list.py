"""`kd cache list`."""

from typing import TYPE_CHECKING

import typer

from cli.command import command
from cli.output import Ui
from cli.text import clock, listing, on_a_line, size

if TYPE_CHECKING:
    from kdcache.store.overview import Contents

LIST = """
kd cache list
kd cache list --json
"""
_HEAD = ["cache", "teacher", "data", "images", "views", "signals", "bytes", "state", "planned"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "list", examples=LIST)(cache_list)


def cache_list(ui: Ui) -> None:
    """List the caches in ./kd/caches, the newest first.

    The first one is what commands use when no cache is named. `bytes` is the size of the built parts. Folders that cannot be
    read are listed at the end with the reason.
    """
    from kdcache.store.overview import list_caches

    entries = list_caches()
    rows = [[str(e.path), *_cells(e.contents), clock(e.planned)] for e in entries if e.contents is not None]
    table = listing([_HEAD, *rows], right=(3, 4, 6)) if rows else "no cache in ./kd/caches"
    reasons = "\n".join(f"cannot be read: {on_a_line(e.reason)}" for e in entries if e.reason is not None)
    ui.answer([entry.plain() for entry in entries], "\n\n".join(filter(None, (table, reasons))))
    if not rows:
        ui.note("hint: kd cache build --teacher florence")


def _cells(contents: "Contents") -> list[str]:
    plan, parts = contents.plan, len(contents.plan.parts())
    built = parts - contents.parts_missing
    return [
        f"{plan.teacher.family} {plan.teacher.size}" + (" RANDOM" if plan.teacher.weights.random else ""),
        plan.dataset.name,
        f"{plan.dataset.rows:,}",
        f"{plan.views.count:,}",
        ",".join(f"{stored.signal.name}={stored.codec}" for stored in plan.signals),
        size(contents.bytes),
        "complete" if not contents.parts_missing else f"{built:,} of {parts:,} parts",
    ]
