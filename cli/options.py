"""Options that several commands share, and how their text becomes values."""

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
    typer.Option(metavar="NAME", help=f"Which teacher (kd teacher list): {TEACHERS}.", autocompletion=_teachers),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="NAME", help="Size of the teacher (kd teacher list); left out: the published default."
    ),
]
BuildSize = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="NAME",
        help="Size of the teacher (kd teacher list); left out: nano for an embedded set, else the published default.",
    ),
]
WeightsFile = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|RUN",
        help="A checkpoint, or `random` to measure time and memory; of run:RUN, where it lies now if it has moved.",
    ),
]
HeadFile = Annotated[str | None, typer.Option("--head", metavar="FILE", help="Classifier head (kd teacher fit-head).")]
ClassesFile = Annotated[
    str | None, typer.Option("--classes", metavar="FILE", help="Class names for zero-shot logits, one a line.")
]
TemplatesFile = Annotated[
    str | None,
    typer.Option("--templates", metavar="FILE", help="Prompts for zero-shot logits, one a line, {} for the name."),
]
InputSize = Annotated[
    str | None, typer.Option("--input-size", metavar="N|HxW", help="Pixels the teacher sees, if not its own size.")
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help=f"A folder, tar shards, or one of {SOURCES} (docs/sources.md); left out: the embedded shapes.",
    ),
]
Signals = Annotated[
    str | None,
    typer.Option(
        "--signal",
        metavar="LIST",
        help="Signals to keep, comma-separated, such as logits, embedding, features or the name of a layer, as blocks.1; left "
        "out: those that the teacher's family usually keeps.",
    ),
]
Codecs = Annotated[
    str | None,
    typer.Option("--codec", metavar="LIST", help="How, as SIGNAL=CODEC,...: topk:10, full, float16, int8, exact ..."),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="View recipe: plain (the default of one view), augment, or a file.",
        autocompletion=complete.presets("views"),
    ),
]
BackgroundName = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="COLOUR",
        help="Under transparent pixels: white (the default), black, R,G,B, or drop to ignore alpha.",
    ),
]
Views = Annotated[int, typer.Option("--views", metavar="N", min=1, max=limits.VIEWS, help="Views of each image.")]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=-(2**63), max=2**63 - 1, help="Seed of everything random.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; may be repeated.")
]
Format = Annotated[Backend, typer.Option("--format", metavar="hdf5|zarr", help="File format of the parts.")]
FormatOrSame = Annotated[
    Backend | None, typer.Option("--format", metavar="hdf5|zarr", help="File format of the parts; left out: as it is.")
]
Compress = Annotated[
    str | None, typer.Option("--compress", metavar="zstd:N|blosc:N", help="Compress without loss; reads are slower.")
]
PartRows = Annotated[
    int | None,
    typer.Option(
        "--part-rows",
        metavar="N",
        min=1,
        max=limits.PART_ROWS,
        help="At most this many images in a part, but never less than a batch.",
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="The cache; left out: a new name in ./kd/caches.")
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", min=1, max=limits.BATCH, help="Images the teacher sees at a time."),
]
PrecisionName = Annotated[
    Precision, typer.Option("--precision", metavar="NAME", help="float32, bfloat16 or float16 inside the teacher.")
]
Devices = Annotated[str | None, typer.Option("--device", metavar="LIST", help="cpu, cuda, or several: cuda:0,cuda:1.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=0, max=limits.WORKERS, help="Processes that decode and render images."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done; write nothing.")]
CachePath = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CACHE]", help="A cache; left out: the newest in ./kd/caches.", autocompletion=complete.caches
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", help="A cache; left out: the newest in ./kd/caches.", autocompletion=complete.caches
    ),
]


def comma_list(text: str | None) -> tuple[str, ...]:
    """`a, b` -> ("a", "b")"""
    return tuple(item.strip() for item in (text or "").split(",") if item.strip())


def codec_table(text: str | None, signals: tuple[str, ...] = ()) -> dict[str, str]:
    """`features=int8,logits=topk:50` -> by signal; a bare codec is meant for the one signal there is."""
    table: dict[str, str] = {}
    for item in comma_list(text):
        name, equals, codec = item.partition("=")
        if not equals:
            if len(signals) != 1:
                raise UsageError(f"--codec {item}: for which signal?", hint=f"--codec {(*signals, 'SIGNAL')[0]}={item}")
            name, codec = signals[0], item
        if name in table:
            raise UsageError(f"--codec names {name} twice: {table[name]} and {codec}", hint="give one codec a signal")
        table[name] = codec
    return table


def image_size(text: str | None) -> tuple[int, int] | None:
    """`384` or `384x512` (height x width)."""
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
    """`3/16`: the third of sixteen shares."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--only {text} is not a share", hint="--only 3/16 builds the third of sixteen shares")
    return int(found[1]), int(found[2])
