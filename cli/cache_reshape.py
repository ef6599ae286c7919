"""`kd cache add-views`, `convert` and `merge`: change caches without running a teacher."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import complete
from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.text import on_a_line, pairs, plural, size
from kdcache.base import limits

if TYPE_CHECKING:
    from kdcache.reshape.convert import Reshaped

ADD = """
kd cache add-views c2 2
kd cache build --out c2
"""
CONVERT = """
kd cache convert c2 --format hdf5 --out c3
kd cache convert c2 --codec features=int8 --out c3
kd cache convert c4 --signal targets --out c3
"""
MERGE = """
kd cache merge share1 share2 share3 --out whole
"""
Whole = Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of a cache.", autocompletion=complete.caches)]
Count = Annotated[int, typer.Argument(metavar="N", min=1, max=limits.VIEWS, help="Number of views to add.")]
Many = Annotated[
    list[Path],
    typer.Argument(
        metavar="CACHE...",
        help="Caches with the same plan, each with some of the parts.",
        autocompletion=complete.caches,
    ),
]
KeptSignals = Annotated[
    str | None, typer.Option("--signal", metavar="LIST", help="Signals to copy, comma-separated. Default: all.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "add-views", examples=ADD)(add_views)
    command(app, "convert", examples=CONVERT, resumable=True)(convert)
    command(app, "merge", examples=MERGE, resumable=True)(merge)


def add_views(ui: Ui, cache: Whole, count: Count) -> None:
    """Plan more views of a cache; the next build adds them, and stored views stay as they are."""
    from kdcache.reshape.more_views import add_views as add

    plan = add(cache, count)
    text = f"{on_a_line(str(cache))} now has {plural(plan.views.count, 'view')} planned"
    ui.answer({"path": str(cache), "views": plan.views.count}, text)
    ui.note(f"hint: kd cache build --out {shlex.quote(str(cache))}")


def convert(
    ui: Ui,
    cache: Whole,
    out: o.NewCache,
    format: o.FormatOrSame = None,
    codec: o.Codecs = None,
    compress: o.Compress = None,
    signal: KeptSignals = None,
) -> int:
    """Copy a cache into another file format, codec or compression, or without some of its signals.

    Parts that are not built yet can be built in the copy later. Exit code 3: done, but parts are missing.
    """
    from kdcache.reshape.convert import convert as copy

    done = copy(
        cache,
        out,
        backend=format,
        codecs=o.codec_table(codec),
        compression=compress,
        signals=None if signal is None else o.comma_list(signal),
        progress=ui.progress(),
    )
    return _answer(ui, done)


def merge(ui: Ui, caches: Many, out: o.NewCache) -> int:
    """Collect parts that were built on several machines into one cache.

    Every byte is checked; a damaged part is taken from the next cache that has it. Exit code 3: done, but parts are missing.
    """
    from kdcache.reshape.merge import merge as join

    return _answer(ui, join(caches, out, progress=ui.progress()))


def _answer(ui: Ui, done: "Reshaped") -> int:
    missing = f", {done.parts_missing:,} still missing" if done.parts_missing else ""
    lines = [
        ("cache", str(done.path)),
        ("parts", f"{done.parts_written:,} written{missing}"),
        ("size", size(done.bytes)),
    ]
    facts = {"parts_written": done.parts_written, "parts_missing": done.parts_missing, "bytes": done.bytes}
    ui.answer({"path": str(done.path), **facts}, pairs(lines))
    if done.parts_missing:
        from kdcache.store import Store
        from kdcache.store.again import way_to_build

        ui.note(f"hint: {way_to_build(done.path, Store.open(done.path).plan)}")
    return 3 if done.parts_missing else 0
