"""`kd bench`: how fast this machine reads."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options as o
from cli.command import command, group
from cli.output import Ui
from students.base.limits import REPEATS

READ = """
kd bench read
kd bench read --scale 0.1 --repeats 3 --warm-only
kd bench read --workload W2,W3 --dir /data --json
"""
Scale = Annotated[
    float, typer.Option("--scale", metavar="X", min=0.0, max=1000.0, help="Factor on the amount of data.")
]
Repeats = Annotated[
    int, typer.Option("--repeats", metavar="N", min=1, max=REPEATS, help="Number of rounds; medians are shown.")
]
WorkloadNames = Annotated[
    str,
    typer.Option(
        "--workload",
        metavar="LIST",
        help="Workloads, comma-separated: W1 top-100 logits, W2 large feature maps, W3 ViT tokens.",
    ),
]
WarmOnly = Annotated[
    bool, typer.Option("--warm-only", help="Measure only warm reads, from the page cache, and no cold ones.")
]
Place = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Folder for the test data. Default: the system's temporary folder."),
]
WholeMachine = Annotated[
    bool, typer.Option("--drop-caches", help="Empty the page cache of the whole machine before cold reads (root).")
]

app = group("Measure this machine.")


def read(
    ui: Ui,
    workload: WorkloadNames = "W1,W2,W3",
    scale: Scale = 1.0,
    repeats: Repeats = 5,
    warm_only: WarmOnly = False,
    folder: Place = None,
    drop_caches: WholeMachine = False,
) -> None:
    """Measure how fast caches are read, compared with np.memmap, plain h5py, plain Zarr and tensorstore.

    Test data are written, read by each in turn, and removed. Compare the ratios, because the rates depend on the machine.
    """
    from kdcache.bench import bench_read

    result = bench_read(
        folder=folder,
        scale=scale,
        repeats=repeats,
        workloads=o.comma_list(workload),
        cold=not warm_only,
        whole_machine=drop_caches,
        progress=ui.progress(),
    )
    ui.answer(result, "" if ui.json else _tables(ui, result))


def _tables(ui: Ui, result: dict[str, Any]) -> str:
    from io import StringIO

    from rich.console import Console

    from kdcache.bench import render

    colored = ui.colored(sys.stdout)
    width = None if sys.stdout.isatty() else 120
    console = Console(file=StringIO(), width=width, force_terminal=colored, no_color=not colored, highlight=False)
    with console.capture() as text:
        console.print(render(result))
    return "\n".join(line.rstrip() for line in text.get().splitlines())


command(app, "read", examples=READ)(read)
