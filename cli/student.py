"""`kd student`: list students, show one, export a trained one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import complete
from cli.command import command, group
from cli.output import Ui
from cli.runs import RunPath, open_run
from cli.text import listing, pairs, plural
from kdcache.errors import KDError, UsageError
from students.base import limits

if TYPE_CHECKING:
    from students.families.spec import StudentSpec

LIST = """
kd student list
kd student list --json
"""
SHOW = """
kd student show tinyvit-5m
kd student show tinyvit-21m --input-size 384
kd student show LATEST
"""
EXPORT = """
kd student export LATEST --format timm --out student/
kd student export kd/runs/first --format onnx --out student/ --json
"""
Which = Annotated[
    str,
    typer.Argument(
        metavar="NAME|RUN",
        help="A preset (kd student list) or a .yaml file, a run, or LATEST.",
        autocompletion=complete.students_and_runs,
    ),
]
Side = Annotated[
    int | None,
    typer.Option(
        "--input-size", metavar="N", min=1, max=limits.SIDE, help="Input size of a preset, in pixels. Default: its own."
    ),
]
ClassCount = Annotated[
    int | None,
    typer.Option(
        "--classes", metavar="N", min=2, max=limits.CLASSES, help="Number of classes of a preset. Default: 1000."
    ),
]


def _formats(incomplete: str) -> list[str]:
    from students.families.registry import FAMILIES

    formats = dict.fromkeys(format for _, family in FAMILIES for format in family.exports)
    return complete.starting(formats, incomplete)


Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format to write: timm, onnx, or another that kd student show lists under exports.",
        autocompletion=_formats,
    ),
]
Folder = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The new folder for the files.")]

app = group("List students, show one, export a trained one.")


def student_list(ui: Ui) -> None:
    """List the students with their parameters and multiply-adds at 1,000 classes."""
    from students.families.registry import FAMILIES, family_order, shown_student, student_names

    troubles, order = FAMILIES.troubles(), family_order()
    described = list[tuple[int, dict[str, Any]]]()
    for name in student_names():
        try:
            spec = shown_student(name)
            described.append((order.index(spec.family), _facts(spec)))
        except KDError as trouble:  # a preset of another package, or one that two packages bring
            troubles.append(trouble)
    for message in dict.fromkeys(trouble.message for trouble in troubles):
        ui.warn(message)
    facts = [its for _, its in sorted(described, key=lambda one: (one[0], one[1]["parameters"]))]
    rows = [
        [f["name"], str(f["input"][0]), _millions(f["parameters"]), _billions(f["macs"]), f["made_of"]] for f in facts
    ]
    ui.answer(facts, listing([["student", "input", "parameters", "multiply-adds", "made of"], *rows], right=(1, 2, 3)))


def student_show(ui: Ui, name: Which, input_size: Side = None, classes: ClassCount = None) -> None:
    """Show the numbers of a preset or a trained student: parameters, input, classes, heads.

    A preset can be shown at any input size and number of classes; the student of a run has fixed ones.
    """
    from kdcache.images.background import described
    from students.families.registry import SHOWN_CLASSES, shown_student, student_names

    if name in student_names() or name.endswith((".yaml", ".yml")):
        spec = shown_student(name, size=input_size, classes=classes or SHOWN_CLASSES)
    else:
        spec = _trained(ui, name, changed=bool(input_size or classes))
    facts = _facts(spec)
    height, width = spec.input
    geometry = spec.geometry
    lines = [
        ("student", f"{spec.name} ({spec.described})"),
        ("parameters", f"{facts['parameters']:,}"),
        ("multiply-adds", f"{_billions(facts['macs'])} an image"),
        ("input", f"{height}×{width}, {geometry.fit}, crop {geometry.crop_pct:g}, {geometry.interpolation}"),
        ("background", described(geometry.background)),
        ("mean, std", f"{_numbers(spec.mean)}, {_numbers(spec.std)}"),
        *spec.details.items(),
        ("classes", _class_text(spec)),
        ("needs", _needs_text(spec)),
        ("heads", ", ".join(facts["heads"])),
        ("exports", ", ".join(facts["exports"]) or "none"),
    ]
    ui.answer(facts, pairs(lines))


def student_export(ui: Ui, out: Folder, format: Format, run: RunPath) -> None:
    """Write a trained student for other programs: a folder for timm, or an ONNX file.

    timm opens the folder with create_model("local-dir:DIR", pretrained=True). The ONNX file takes normalised pixels in any
    batch size; it is only written if its output on random pixels agrees with that of torch. Both come with prepare.py, which
    turns an image file into the pixels that the student was evaluated with and needs only numpy and Pillow.
    """
    from students.export.exported import exporter

    opened = open_run(ui, run)
    write = exporter(opened, format)
    ui.doing(f"writing {format}")
    done = write(opened, out)
    files = [str(path) for path in done.files]
    lines = [("run", str(opened.path)), *(("wrote", file) for file in files)]
    if done.share is not None:
        lines.append(
            (
                "onnxruntime",
                f"differs from torch by at most {done.difference:.1e}, {done.share:.1e} of the largest logit",
            )
        )
    facts = {"run": str(opened.path), "format": format, "files": files}
    ui.answer({**facts, "max_abs_difference": done.difference, "max_relative_difference": done.share}, pairs(lines))


def _trained(ui: Ui, name: str, *, changed: bool) -> "StudentSpec":
    """The student of a run. Raises UsageError, which lists the presets, if `name` is neither a run nor a preset."""
    from students.families.registry import student_names
    from students.runs.run import LATEST

    if name != LATEST and not Path(name).exists():
        raise UsageError(f"{name} is neither a student nor a run", hint=f"students: {', '.join(student_names())}")
    if changed:
        raise UsageError(f"{name} is a run: its input size and classes cannot be changed")
    return open_run(ui, name).record.student


def _facts(spec: "StudentSpec") -> dict[str, Any]:
    import torch

    from students.families.cost import student_cost
    from students.families.registry import family_of

    counted = {**student_cost(spec)._asdict(), "classes": len(spec.classes)}
    family = family_of(spec)
    with torch.device("meta"):
        heads = list(family.heads(family.build(spec), spec))
    able = {"needs": family.needs(spec).plain(), "heads": heads, "exports": list(family.exports)}
    return {**spec.plain(), **counted, "made_of": spec.described, **able}


def _class_text(spec: "StudentSpec") -> str:
    if not spec.classes:
        return "none: it is judged by its embeddings"
    shown = ", ".join(spec.classes[:5])
    return f"{plural(len(spec.classes), 'class', 'classes')}: {shown}{', …' if len(spec.classes) > 5 else ''}"


def _needs_text(spec: "StudentSpec") -> str:
    """Requirements of the student's family, as text."""
    from students.families.registry import student_needs

    needs = student_needs(spec)
    parts = [f"the signals {', '.join(needs.signals)}"] if needs.signals else []
    parts += [f"the truths {', '.join(needs.columns)}"] if needs.columns else []
    parts += [f"an example for each of the {', '.join(needs.items)}"] if needs.items else []
    parts += ["weights of its teacher"] if needs.teacher else []
    if needs.instead_of_pixels:
        parts.append(f"images, or instead the signal {' or '.join(needs.instead_of_pixels)}")
    return "; ".join(parts) or "images and what its recipe compares"


def _millions(count: int) -> str:
    """Millions with one decimal; a student too small for that, as some of other packages are, has its exact count."""
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"


def _billions(count: int) -> str:
    if count < 1e5:
        return f"{count:,}"
    return f"{count / 1e9:.3g} G" if count >= 1e8 else f"{count / 1e6:.3g} M"


def _numbers(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:g}" for value in values)


command(app, "list", examples=LIST)(student_list)
command(app, "show", examples=SHOW)(student_show)
command(app, "export", examples=EXPORT)(student_export)
