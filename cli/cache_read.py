"""`kd cache info` and `kd cache get`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options as o
from cli.command import command
from cli.output import Ui
from cli.text import columns, errors, legend, number, on_a_line, pairs, plural, size
from kdcache.base.newest import newest_cache
from kdcache.errors import UsageError

if TYPE_CHECKING:
    from kdcache.store.plan import Plan, StoredSignal
    from kdcache.views.recipe import ViewRecipe

INFO = """
kd cache info
kd cache info c2 --json
"""
GET = """
kd cache get 000007
kd cache get birds/robin.jpg --cache c2 --view 1 --json
kd cache get birds/robin.jpg --cache c2 --save robin.png
"""
ImageId = Annotated[
    str, typer.Argument(metavar="IMAGE_ID", help="Id of the image, such as train/000007 or cats/3.jpg.")
]
SavePath = Annotated[
    Path | None,
    typer.Option(
        "--save", metavar="FILE.png", help="Also write the pixels that the teacher was shown to this new PNG file."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "info", examples=INFO)(info)
    command(app, "get", examples=GET)(get)


def info(ui: Ui, cache: o.CachePath = None) -> None:
    """Show what a cache contains and whether it is complete."""
    from kdcache.store import Store

    store = Store.open(cache or newest_cache())
    plan, missing = store.plan, store.missing_count
    parts, rejected = len(plan.parts()), len(store.bad_rows())
    facts = {
        "path": str(store.path),
        "complete": missing == 0,
        "parts": parts,
        "parts_missing": missing,
        "bytes": store.bytes(),
        "rejected": rejected,
        "identity": plan.identity,
        "plan": plan.plain(),
    }
    there = (
        f"complete, {plural(parts, 'part')}"
        if not missing
        else f"{parts - missing:,} of {plural(parts, 'part')}, not complete"
    )
    lines = [
        ("cache", str(store.path)),
        ("state", f"{there}, {size(store.bytes())}"),
        *_plan_lines(plan),
        ("rejected", plural(rejected, "image")),
    ]
    table = [["signal", "shape", "codec", "bytes/row", "measured error"], *_signal_rows(plan)]
    meanings = legend(stored.error for stored in plan.signals)
    ui.answer(facts, "\n\n".join(filter(None, (pairs(lines), columns(table, right=(3,)), meanings))))


def _plan_lines(plan: "Plan") -> list[tuple[str, str]]:
    teacher, views = plan.teacher, plan.views
    height, width = teacher.preprocess.size
    stamp = "  RANDOM WEIGHTS: for measuring only" if teacher.weights.random else ""
    lines = [
        ("teacher", f"{teacher.family} {teacher.size}, {teacher.precision}, sees {height}×{width}{stamp}"),
        ("weights", f"{teacher.weights.source}, sha256 {teacher.weights.sha256[:16]}…"),
        ("images", f"{plan.dataset.rows:,} of {plan.dataset.name}, fingerprint {plan.dataset.fingerprint[:16]}"),
        ("views", f"{views.count} {views.recipe.kind}, {_background(views.recipe)}seed {views.seed}"),
        ("format", f"{plan.layout.backend}, compression {plan.layout.compression or 'none'}, batch {plan.batch}"),
    ]
    if teacher.head:
        lines.insert(2, ("head", f"{teacher.head.source}, sha256 {teacher.head.sha256[:16]}…"))
    return lines


def _background(recipe: "ViewRecipe") -> str:
    """The colour under transparent pixels, with a comma; empty for views that another project rendered."""
    from kdcache.images.background import described

    return "" if recipe.kind == "foreign" else f"{described(recipe.background)}, "


def _signal_rows(plan: "Plan") -> list[list[str]]:
    return [
        [stored.signal.name, stored.signal.shape_text(), stored.codec, number(stored.bytes_per_row), _error(stored)]
        for stored in plan.signals
    ]


def _error(stored: "StoredSignal") -> str:
    """Error measured when the cache was made; for a converted cache, the error relative to the stored values before."""
    text = errors(stored.error)
    return f"{text}, against {stored.via[-1]}" if text and stored.via else text


def get(
    ui: Ui,
    image_id: ImageId,
    cache: o.CacheOption = None,
    view: o.View = 0,
    save: SavePath = None,
    data: o.DataNow = None,
) -> None:
    """Print what the teacher emitted for one image.

    With --save the view is rendered again, compared with the stored digest of its pixels, and written as a picture. If they
    differ, nothing is written (exit code 9).
    """
    from kdcache.cache import Cache

    if data is not None and save is None:
        raise UsageError(
            "--data only applies to --save: everything else is read from the cache",
            hint="add --save FILE.png, or leave --data out",
        )
    path = cache or newest_cache()
    store = Cache.open(path)
    entry = store.get(image_id, view=view)
    codecs = store.plan.codecs()
    plain = {name: codecs[name].plain(values) for name, values in entry.items()}
    where = {"cache": str(store.path), "image_id": image_id}
    facts: dict[str, Any] = {**where, "row": entry.row, "view": view, "label": entry.label}
    lines = [("image", image_id), ("cache", str(store.path)), ("row", f"{entry.row:,}, view {view}")]
    if save is not None:
        from kdcache.check.picture import save_view

        saved = save_view(path, image_id, save, view=view, data=data)
        facts["saved"] = str(saved.path)
        lines.append(("saved", f"{saved.path}, {saved.height}×{saved.width} pixels"))
    if entry.label is not None:
        name = f" {store.classes[entry.label]}" if store.classes else ""
        lines.append(("label", f"{entry.label}{name}"))
    classes = store.teacher.classes
    shown = "\n\n".join(
        f"{on_a_line(name)}\n{_cells(codecs[name].describe(values, classes))}" for name, values in entry.items()
    )
    ui.answer({**facts, "signals": plain}, f"{pairs(lines)}\n\n{shown}")


def _cells(rows: list[list[str]]) -> str:
    """Rows of one cell as plain lines, then the other rows as a table: right-aligned except for the last column."""
    lines = [f"  {on_a_line(row[0])}" for row in rows if len(row) == 1]
    table = [["  " + row[0], *row[1:]] for row in rows if len(row) > 1]
    return "\n".join([*lines, *([columns(table, right=range(len(table[0]) - 1))] if table else [])])
