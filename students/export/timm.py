"""Exports a trained student as a folder that timm opens."""

import json
from pathlib import Path
from typing import Any, Protocol, cast

from kdcache.base.atomic import make_folder
from students.export.exported import Exported, check_format, preparation, unused, write_all
from students.families.registry import family_of
from students.families.spec import StudentSpec
from students.runs.run import Run


class TimmFamily(Protocol):
    """The method that a family must have in addition if it lists the format `timm`."""

    def timm_config(self, spec: StudentSpec) -> dict[str, Any]:
        """timm's config.json: architecture, builder arguments, pretrained_cfg. UsageError if it cannot express the student."""


def export_timm(run: Run, out: Path) -> Exported:
    """Write model.safetensors and config.json for `timm.create_model("local-dir:OUT", pretrained=True)`, and prepare.py."""
    from kdcache.base.tensors import write_tensors

    check_format(run, "timm")
    (weights,) = unused(out, "model.safetensors")
    spec = run.record.student
    family = cast(TimmFamily, family_of(spec))
    config, state = family.timm_config(spec), run.network().state_dict()
    beside = preparation(spec, out)
    content = json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n"
    settings = out / "config.json"
    # An identical config.json without weights is left from an interrupted export and may be replaced.
    if not (settings.is_file() and settings.read_bytes() == content):
        unused(out, settings.name)
    make_folder(out)
    write_all({**beside, settings: content})
    write_tensors(weights, state, {"format": "pt"})
    return Exported((weights, settings, *beside))
