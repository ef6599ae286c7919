"""Checks that all exports share, and the files that each writes beside the weights."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from kdcache.base.atomic import storage_errors, write_file
from kdcache.errors import UsageError
from kdcache.images.background import colour_of
from students.base.contracts import Exporter
from students.families.registry import family_of
from students.families.spec import StudentSpec
from students.runs.run import Run

PREPARE, NUMBERS = "prepare.py", "preprocess.json"


class Exported(NamedTuple):
    """Files of an export, and their measured error."""

    files: tuple[Path, ...]
    difference: float | None = None
    """Largest absolute difference between an exported logit and torch's, on random pixels; None: not measured."""
    share: float | None = None
    """`difference` as a fraction of the largest logit."""


def exporter(run: Run, format: str) -> Exporter:
    """The function that exports a student in a format."""
    check_format(run, format)
    module, _, name = family_of(run.record.student).exports[format].partition(":")
    found: Exporter = getattr(import_module(module), name)
    return found


def check_format(run: Run, format: str) -> None:
    """Raises UsageError if the student's family does not have this format; the hint lists those it has."""
    spec = run.record.student
    formats = family_of(spec).exports
    if format not in formats:
        if not formats:
            message = f"{spec.name} has no classifier, and timm and ONNX files are exported for logits"
            hint = f"its embeddings: kd cache build --teacher run:{run.path}; its weights: {run.weights}"
        else:
            message, hint = f"{spec.name} cannot be exported as {format}", f"--format {' or '.join(formats)}"
        raise UsageError(message, hint=hint)


def preparation(spec: StudentSpec, out: Path) -> dict[Path, bytes]:
    """prepare.py and preprocess.json, the same for all formats, so that several may be exported into one folder."""
    numbers = json.dumps(preprocess_numbers(spec), indent=2).encode() + b"\n"
    code = Path(__file__).with_name(PREPARE).read_bytes()
    files = {out / NUMBERS: numbers, out / PREPARE: code}
    for file, content in files.items():
        with storage_errors(file, "read"):
            other = file.exists() and file.read_bytes() != content
        if other:
            raise UsageError(f"{file} exists already, from another student", hint="choose another --out")
    return files


def preprocess_numbers(spec: StudentSpec) -> dict[str, Any]:
    """The numbers of a student's preprocessing; prepare.py describes the steps."""
    under = colour_of(spec.geometry.background)
    return {
        "size": list(spec.input),
        **{key: value for key, value in spec.geometry.plain().items() if key not in ("kind", "background")},
        "background": None if under is None else list(under),
        "mean": list(spec.mean),
        "std": list(spec.std),
    }


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write whole files, one after the other."""
    for file, content in files.items():
        write_file(file, [content])


def unused(out: Path, *names: str) -> tuple[Path, ...]:
    """Paths of new files. Raises UsageError if one exists, because an export never overwrites another student's."""
    files = tuple(out / name for name in names)
    for file in files:
        if file.exists():
            raise UsageError(f"{file} exists already", hint="choose another --out, or remove the old export")
    return files
