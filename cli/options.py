"""Options that several commands share, and functions that parse their values."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import complete
from cli.late import SOURCES, TEACHERS
from kdcache.base import limits
from kdcache.errors import UsageError

Backend = Literal["hdf5", "zarr"]
Precision = Literal["float32", "bfloat16", "float16"]


def _teachers(incomplete: str) -> list[str]:
    from kdcache.teachers.registry import teacher_names

    kind, colon, run = incomplete.partition("run:")
    if colon and not kind:
        return [f"run:{name}" for name in complete.runs(run)]
    return complete.starting((name.removesuffix("NAME") for name in teacher_names()), incomplete)


Teacher = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"The teacher: {TEACHERS} (kd teacher list).", autocompletion=_teachers),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="NAME", help="Size of the teacher (kd teacher list). Default: the first one listed."
    ),
]
BuildSize = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="NAME",
        help="Size of the teacher (kd teacher list). Default: nano for an embedded data set, else the first one listed.",
    ),
]
WeightsFile = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|RUN",
        help="The teacher's checkpoint file or folder, the new location of a moved run:RUN, or `random` to measure only time and "
        "memory. Default: shipped or downloaded weights.",
    ),
]
HeadFile = Annotated[
    str | None,
    typer.Option("--head", metavar="FILE", help="File of a classifier head for the teacher (kd teacher fit-head)."),
]
ClassesFile = Annotated[
    str | None,
    typer.Option("--classes", metavar="FILE", help="Text file of class names for zero-shot logits, one per line."),
]
TemplatesFile = Annotated[
    str | None,
    typer.Option(
        "--templates",
        metavar="FILE",
        help="Text file of prompts for zero-shot logits, one per line, with {} for the class name.",
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="N|HxW",
        help="Input size of the teacher, in pixels. Default: the size it was published with.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help=f"The images: a folder, tar shards, or one of {SOURCES} (docs/sources.md). Default: shapes, a generated set.",
    ),
]
Signals = Annotated[
    str | None,
    typer.Option(
        "--signal",
        metavar="LIST",
        help="Signals to store, comma-separated: logits, embedding, features, or a layer by its name, such as blocks.1. Default: "
        "those the teacher's family usually stores (README).",
    ),
]
Codecs = Annotated[
    str | None,
    typer.Option(
        "--codec",
        metavar="LIST",
        help="Codec of each signal, as SIGNAL=CODEC,...: topk:10, full, float16, int8, ... Default: chosen by the signal.",
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="View recipe (kd config list views) or a .yaml file. Default: plain for one view, augment for more.",
        autocompletion=complete.presets("views"),
    ),
]
BackgroundName = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="COLOUR",
        help="Colour behind transparent pixels: white, black or R,G,B; drop ignores transparency. Default: the recipe's.",
    ),
]
Views = Annotated[
    int, typer.Option("--views", metavar="N", min=1, max=limits.VIEWS, help="Views to store of each image.")
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=-(2**63), max=2**63 - 1, help="Seed of all random choices.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the recipe or preset; repeatable."),
]
Format = Annotated[Backend, typer.Option("--format", metavar="hdf5|zarr", help="File format of the parts.")]
FormatOrSame = Annotated[
    Backend | None,
    typer.Option("--format", metavar="hdf5|zarr", help="File format of the parts. Default: that of the cache."),
]
Compress = Annotated[
    str | None,
    typer.Option(
        "--compress",
        metavar="zstd:N|blosc:N",
        help="Compress the parts without loss, at this level; reads are slower. Default: none.",
    ),
]
PartRows = Annotated[
    int | None,
    typer.Option(
        "--part-rows",
        metavar="N",
        min=1,
        max=limits.PART_ROWS,
        help="Largest number of images in a part, at least one batch. Default: 16384. A part has a batch times a power "
        "of two: as many images as fit into this, into 64 MiB and into an eighth of all images.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder of the cache. Default: a new name in ./kd/caches."),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        metavar="N",
        min=1,
        max=limits.BATCH,
        help="Images processed at a time. Default: as many as suit the device.",
    ),
]
PrecisionName = Annotated[
    Precision,
    typer.Option("--precision", metavar="NAME", help="Number type inside the teacher: float32, bfloat16 or float16."),
]
Devices = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="LIST",
        help="Device, or several: cpu, cuda, cuda:0,cuda:1. Default: cuda if there is one, else cpu.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        max=limits.WORKERS,
        help="Processes that decode and render images. Default: one per core, at most 16.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="cpu, cuda or cuda:N. Default: cuda if there is one, else cpu."),
]
PrecisionOrOwn = Annotated[
    Precision | None,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Number type of the network: float32, bfloat16 or float16. Default: that of the training; of a teacher float32.",
    ),
]
DataNow = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="SOURCE", help="New location of the images. Default: where the cache was built from."
    ),
]
NewCache = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the new cache.")]
View = Annotated[int, typer.Option("--view", metavar="N", min=0, help="Number of the view, from 0.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would be done and write nothing.")]
CachePath = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CACHE]", help="Folder of a cache. Default: the newest in ./kd/caches.", autocompletion=complete.caches
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Folder of a cache. Default: the newest in ./kd/caches.",
        autocompletion=complete.caches,
    ),
]


def comma_list(text: str | None) -> tuple[str, ...]:
    """`a, b` -> ("a", "b")"""
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())


def codec_table(text: str | None, signals: tuple[str, ...] = ()) -> dict[str, str]:
    """`features=int8,logits=topk:50` -> {signal: codec}; a codec without a name is for the only signal."""
    table: dict[str, str] = {}
    for item in comma_list(text):
        name, equals, codec = item.partition("=")
        if not equals:
            if len(signals) != 1:
                raise UsageError(f"--codec {item}: for which signal?", hint=f"--codec {(*signals, 'SIGNAL')[0]}={item}")
            name, codec = signals[0], item
        if name in table:
            raise UsageError(f"--codec names {name} twice: {table[name]} and {codec}", hint="give one codec per signal")
        table[name] = codec
    return table


def refuse_teacher_options(given: frozenset[str], *, of_teacher: bool) -> None:
    """Raises UsageError for an option that needs --teacher; `given`: parameters given on the command line."""
    if of_teacher:
        return
    for name in ("size", "weights", "head", "out"):
        if name in given:
            raise UsageError(f"--{name} only applies to --teacher", hint="leave it out, or name a --teacher")


def image_size(text: str | None) -> tuple[int, int] | None:
    """`384` or `384x512` -> (height, width)."""
    if text is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text)):
        raise UsageError(f"--input-size {text} is not a size", hint="--input-size 384, or HEIGHTxWIDTH: 384x512")
    height, width = int(found[1]), int(found[2] or found[1])
    if max(height, width) > limits.SIDE:
        raise UsageError(
            f"--input-size {text} is more than {limits.SIDE:,} pixels a side", hint="such as --input-size 384"
        )
    return height, width


def share(text: str | None) -> tuple[int, int] | None:
    """`3/16` -> (3, 16): the third of sixteen shares."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--only {text} is not a share", hint="--only 3/16 builds the third of sixteen shares")
    return int(found[1]), int(found[2])
