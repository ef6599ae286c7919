"""`kd cache import` and `kd cache export`: caches of other projects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import options as o
from cli.command import command, group
from cli.output import Ui
from cli.text import pairs, plural, size
from kdcache.base.limits import CLASSES
from kdcache.base.newest import newest_cache
from kdcache.errors import UsageError

if TYPE_CHECKING:
    from kdcache.signals.teacher import Preprocess

IN_TINYVIT = """
kd cache import tinyvit logits/ --data imagenet/train --class-count 21841 --teacher clip --size l14-22k --out c4
"""
OUT_TINYVIT = """
kd cache export tinyvit logits/ --cache c2
kd cache export tinyvit logits/ --cache c2 --view 0 --view 2 --k 10
"""
OUT_DIVEDOC = """
kd cache export divedoc teacher.h5 --cache c5
kd cache export divedoc teacher.h5 --split train=c5 --split validation=c6 --signal features
"""
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of TinyViT's files.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The new HDF5 file; its tables are written beside it.")]
Images = Annotated[
    str, typer.Option("--data", metavar="SOURCE", help="The images that the records belong to (docs/sources.md).")
]
ClassCount = Annotated[
    int,
    typer.Option(
        "--class-count", metavar="N", min=1, max=CLASSES, help="Number of classes of the teacher that made the files."
    ),
]
OfTeacher = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="NAME",
        help="Teacher family whose preprocessing was used, one that has sizes (kd teacher list).",
    ),
]
Keys = Annotated[
    Literal["auto", "id", "stem", "index"],
    typer.Option(
        "--keys",
        metavar="KIND",
        help="How the files name an image: by id, by stem (file name without ending), by index, or auto to try each.",
    ),
]
OwnKeys = Annotated[
    Literal["id", "stem", "index"] | None,
    typer.Option(
        "--keys",
        metavar="KIND",
        help="How to name an image: by id, by stem (file name without ending) or by index. Default: chosen by the images.",
    ),
]
SomeViews = Annotated[
    list[int] | None,
    typer.Option("--view", metavar="N", help="Number of a view to write, from 0; repeatable. Default: all."),
]
K = Annotated[
    int | None,
    typer.Option("--k", metavar="K", min=1, max=CLASSES, help="Classes per record. Default: all that are stored."),
]
Splits = Annotated[
    list[str] | None, typer.Option("--split", metavar="NAME=CACHE", help="Name of a split and its cache; repeatable.")
]
SignalName = Annotated[str, typer.Option("--signal", metavar="NAME", help="Name of the signal to write.")]

imports = group("Make a cache from files of another project.")
exports = group("Write files that another project reads.")


def register(app: typer.Typer) -> None:
    """Add the two groups."""
    app.add_typer(imports, name="import")
    app.add_typer(exports, name="export")


def import_tinyvit(
    ui: Ui,
    folder: Folder,
    data: Images,
    class_count: ClassCount,
    out: o.NewCache,
    teacher: OfTeacher = None,
    size: o.Size = None,
    keys: Keys = "auto",
    format: o.Format = "hdf5",
) -> int:
    """Read TinyViT's logits folders, one epoch or all of them, into a cache.

    The files record neither the number of classes nor the preprocessing, so both must be given.
    """
    from kdcache.exchange import import_tinyvit as read
    from kdcache.images import open_source
    from kdcache.store import Store

    preprocess = _preprocess(ui, folder, teacher, size)
    there = Store.plan_at(out)
    done = read(
        folder,
        out,
        open_source(data, like=there.dataset.source if there else None),
        classes=class_count,
        preprocess=preprocess,
        progress=ui.progress(),
        keys=keys,
        backend=format,
    )
    for note in done.notes:
        ui.note(note)
    found = {"epochs": list(done.epochs), "rows": done.rows, "without_record": done.without_record}
    lines = [
        ("cache", str(done.path)),
        ("views", f"{len(done.epochs):,}, from {_epochs(done.epochs)}"),
        ("rows", f"{done.rows:,}, {done.without_record:,} without a record"),
    ]
    ui.answer({"path": str(done.path), **found}, pairs(lines))
    return 3 if done.without_record else 0


def _preprocess(ui: Ui, folder: Path, teacher: str | None, size: str | None) -> "Preprocess":
    """Preprocessing of the teacher that made the files. It must be given, because a wrong guess would never be noticed."""
    from kdcache.teachers.registry import families_with_sizes, published_preprocess, sizes_of

    if teacher is None:
        message = f"no --teacher: the files in {folder} do not record how pixels were prepared for their teacher"
        raise UsageError(message, hint=f"--teacher {' or '.join(families_with_sizes())}; sizes are in kd teacher list")
    preprocess = published_preprocess(teacher, size)
    if size is None:
        ui.note(f"no --size: pixels prepared as for {teacher} {sizes_of(teacher)[0]}")
    return preprocess


def export_tinyvit(
    ui: Ui, folder: Folder, cache: o.CacheOption = None, view: SomeViews = None, k: K = None, keys: OwnKeys = None
) -> None:
    """Write the logits of a cache as TinyViT's logits folders, one epoch per view."""
    from kdcache.exchange import export_tinyvit as write
    from kdcache.store import Store

    store = Store.open(cache or newest_cache())
    done = write(store, folder, progress=ui.progress(), views=view or None, k=k, keys=keys)
    for note in done.notes:
        ui.note(note)
    facts = {"k": done.k, "epochs": list(done.epochs), "records": done.records, "left_out": done.left_out}
    signal = store.plan.first_of_classes()
    classes = signal.classes if signal is not None else 0
    lines = [
        ("folder", str(done.path)),
        ("views", f"{_epochs(done.epochs)} ({len(done.epochs):,} of {plural(store.plan.views.count, 'view')})"),
        ("records", f"{done.records:,}, each the top {done.k:,} of {classes:,} classes; {done.left_out:,} left out"),
    ]
    ui.answer({"path": str(done.path), **facts}, pairs(lines))


def _epochs(numbers: tuple[int, ...]) -> str:
    return f"epoch{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def export_divedoc(
    ui: Ui,
    file: File,
    cache: o.CacheOption = None,
    split: Splits = None,
    signal: SignalName = "features",
    view: o.View = 0,
) -> None:
    """Write one view of one or several caches as the HDF5 file and the tables of DIVE-Doc.

    Without --split, the cache becomes a single split named `train`.
    """
    from kdcache.exchange import export_divedoc as write
    from kdcache.store import Store

    caches = _splits(split or ()) or {"train": cache or newest_cache()}
    stores = {name: Store.open(path) for name, path in caches.items()}
    done = write(stores, file, progress=ui.progress(), signal=signal, view=view)
    facts = {"rows": done.rows, "left_out": done.left_out, "bytes": done.bytes}
    lines = [("file", f"{done.path}, {size(done.bytes)}"), *(("table", str(table)) for table in done.tables)]
    lines += [("split", f"{name}, {plural(rows, 'row')}") for name, rows in done.rows.items()]
    ui.answer({"path": str(done.path), "tables": [str(t) for t in done.tables], **facts}, pairs(lines))


def _splits(texts: list[str] | tuple[()]) -> dict[str, Path]:
    splits: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path) or name in splits:
            raise UsageError(
                f"--split {text} is not NAME=CACHE with a new name", hint="--split train=c5 --split validation=c6"
            )
        splits[name] = Path(path)
    return splits


command(imports, "tinyvit", examples=IN_TINYVIT, resumable=True)(import_tinyvit)
command(exports, "tinyvit", examples=OUT_TINYVIT)(export_tinyvit)
command(exports, "divedoc", examples=OUT_DIVEDOC)(export_divedoc)
