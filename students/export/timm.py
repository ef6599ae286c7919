"""A student as a folder that timm opens."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcache.base.atomic import make_folder
from kdcache.errors import UsageError
from students.export.exported import Exported, check_classes, preparation, unused, write_all
from students.families.spec import StudentSpec
from students.runs.run import Run

TIMM_MODES = {"crop": "center", "squash": "squash"}


def export_timm(run: Run, out: Path) -> Exported:
    """Write model.safetensors and config.json for `timm.create_model("local-dir:OUT", pretrained=True)`, and prepare.py."""
    from kdcache.base.tensors import write_tensors

    check_classes(run)
    (weights,) = unused(out, "model.safetensors")
    network: Any = run.network()
    config = _timm_config(run.record.student, network.pretrained_cfg)
    beside = preparation(run.record.student, out)
    content = json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n"
    settings = out / "config.json"
    # Without the weights it is what an export left that was stopped, when it is the same.
    if not (settings.is_file() and settings.read_bytes() == content):
        unused(out, settings.name)
    make_folder(out)
    write_all({**beside, settings: content})
    write_tensors(weights, network.state_dict(), {"format": "pt"})
    return Exported((weights, settings, *beside))


def _timm_config(spec: StudentSpec, own: Mapping[str, Any]) -> dict[str, Any]:
    """timm's configuration of the network, with what this student sees and says."""
    if spec.geometry.fit not in TIMM_MODES:
        what = f"{spec.name} pads its images with black, which timm's configuration cannot say"
        raise UsageError(what, hint="export it with --format onnx")
    if spec.geometry.turn or spec.geometry.cut == "floor":
        what = f"{spec.name} turns its images, or cuts them as timm's configuration cannot say"
        raise UsageError(what, hint="export it with --format onnx")
    height, width = spec.input
    return {
        "architecture": spec.network,
        "num_classes": len(spec.classes),
        "label_names": list(spec.classes),
        "model_args": {"window_sizes": list(spec.windows), "drop_path_rate": spec.drop_path},
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [3, height, width],
            "interpolation": spec.geometry.interpolation,
            "crop_pct": spec.geometry.crop_pct,
            "crop_mode": TIMM_MODES[spec.geometry.fit],
            "mean": list(spec.mean),
            "std": list(spec.std),
            "num_classes": len(spec.classes),
            "first_conv": own["first_conv"],
            "classifier": own["classifier"],
        },
    }
