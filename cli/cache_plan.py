"""`kd cache plan`: what a build would cost, and whether a cache would pay for a student."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options as o
from cli import train_options as t
from cli.build_options import build_options
from cli.command import command
from cli.output import Ui
from cli.text import columns, duration, errors, legend, number, on_a_line, pairs, plural, size, speed
from kdcache.errors import KDError, UsageError
from students.base import limits

if TYPE_CHECKING:
    from kdcache.build.estimate import Estimate
    from kdcache.build.options import BuildOptions
    from students.api import PlannedJob

PLAN = """
kd cache plan --teacher florence --size huge --data photos/ --views 90 --recipe augment
kd cache plan --teacher florence --student tinyvit-5m --student-size 32 --epochs 6 --students 5
kd cache plan --teacher clip --signal logits,embedding --json
"""
Students = Annotated[
    int,
    typer.Option(
        "--students", metavar="N", min=1, max=limits.JOB, help="Number of students that are trained from the cache."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "plan", examples=PLAN, shared=build_options)(plan)


def plan(
    ui: Ui,
    options: "BuildOptions",
    student: t.Student = None,
    student_size: t.StudentSize = None,
    epochs: t.Epochs = None,
    students: Students = 1,
    out: o.Out = None,
) -> None:
    """Estimate the cost of a build, and whether the cache would pay: bytes, hours, disk space, time saved in training.

    To measure, one batch is rendered and run through the teacher, and a new student takes a few steps on random pixels. Nothing
    is written, and no checkpoint is downloaded. Without --student it is the default one for what the cache keeps.
    """
    from students.plan.effects import check_epochs

    check_epochs(epochs)
    if student is not None:
        from students.families.registry import student_preset

        student_preset(student)  # a wrong name is refused before anything is measured
    print_plan(ui, options, out, student=student, student_size=student_size, epochs=epochs, students=students)


def print_plan(ui: Ui, options: "BuildOptions", out: Path | None, **asked: Any) -> None:
    """Print the estimate of a build, and of the training for which `asked` has the keywords of `students.place_job`."""
    if not options.teacher:
        from kdcache.build.begin import START

        raise UsageError("no --teacher", hint=START)
    ui.note(f"measuring {options.teacher}{f'-{options.size}' if options.size else ''}")
    from kdcache.build.estimate import estimate

    bill = estimate(options, out, progress=ui.progress())
    job, unknown = _job(ui, bill, asked)
    for note in bill.notes:
        ui.note(note.text)
    for warning in bill.warnings:
        ui.warn(warning)
    if not bill.fits:
        ui.warn(f"not enough disk space: {size(bill.total_bytes)} are needed, {size(bill.free_bytes)} are free")
    facts = {**asdict(bill), "notes": [note.text for note in bill.notes], "fits": bill.fits}
    facts.pop("plan")
    pays = {"pays": None if job is None else job.plain(), "pays_unknown": unknown}
    ui.answer({**facts, **pays}, _text(bill, job, unknown))


def _job(ui: Ui, bill: "Estimate", asked: dict[str, Any]) -> "tuple[PlannedJob | None, str | None]":
    """The training from the planned cache, or why nothing can be said about it. A student that was named must fit."""
    from students.api import place_job

    ui.progress().doing("measuring a student")
    try:
        return place_job(bill, **asked), None
    except KDError as error:
        if asked.get("student") is not None:
            raise
        return None, error.message


def _text(bill: "Estimate", job: "PlannedJob | None", unknown: str | None) -> str:
    disk = f"{size(bill.total_bytes)} ({size(bill.overhead_bytes)} beside the rows) of {size(bill.free_bytes)} free"
    rates = f"teacher {speed(bill.teacher_images_per_second)}, rendering {speed(bill.render_images_per_second)}"
    head = pairs(
        [
            ("teacher", f"{bill.teacher} on {bill.device}, {bill.batch} images at a time"),
            ("views", f"{plural(bill.rows, 'image')} × {plural(bill.views, 'view')}, {plural(bill.parts, 'part')}"),
            ("speed", rates),
            ("time", duration(bill.hours * 3600)),
            ("disk", disk),
            *([("pays", f"not known: {unknown}")] if job is None else _pays(job)),
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


def _pays(job: "PlannedJob") -> list[tuple[str, str]]:
    """What the teacher costs beside the student, and what the cache saves: two lines."""
    where, of = job.position, job.job
    few = "" if job.measured_images == job.batch else f" (measured on {job.measured_images} of {job.batch} images)"
    step = f"{where.ratio:.2g} × a step of {on_a_line(job.student)} at {job.pixels} pixels on this machine{few}"
    whole = f"{plural(of.views, 'view')}, {_epochs(of.epochs)} and {plural(of.students, 'student')}"
    even = "never" if where.epochs is None else f"after {_epochs(where.epochs)} of one student"
    if where.pays:
        verdict = f"yes: with {whole} a cache saves about {where.saves:.0%} of the time; it has paid for itself {even}"
    else:
        verdict = f"no: with {whole} a cache takes {-where.saves:.0%} longer; it would pay for itself {even}"
    return [("training", f"a connected teacher adds {step}"), ("pays", verdict)]


def _epochs(count: float) -> str:
    shown = f"{count:,.3g}" if count < 1000 else f"{count:,.0f}"
    return f"{shown} {'epoch' if shown == '1' else 'epochs'}"
