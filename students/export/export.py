"""A trained student for others to use: a folder that timm opens, or an ONNX file, and how an image file is prepared for it.

Input: a run. Output: files that say the same logits; the ONNX file is checked against torch before it gets its name. Beside
either stand preprocess.json, the numbers of the student's preprocessing, and prepare.py, which reads an image file by them
without any of kd.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcache.base.atomic import make_folder, storage_errors, write_file
from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.images.background import colour_of
from students.families.spec import StudentSpec
from students.runs.run import Run

if TYPE_CHECKING:
    import torch
    from torch import nn

NEEDED = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-3
"""largest difference of an ONNX logit from torch's, as a share of the largest logit"""
TIMM_MODES = {"crop": "center", "squash": "squash"}
PIXELS, LOGITS = "pixels", "logits"
PREPARE, NUMBERS = "prepare.py", "preprocess.json"


class Exported(NamedTuple):
    """What was written."""

    files: tuple[Path, ...]
    difference: float | None = None
    """largest absolute difference of a logit from torch's on random pixels, where that was measured"""
    share: float | None = None
    """the same as a share of the largest logit"""


def export_timm(run: Run, out: Path) -> Exported:
    """Write model.safetensors and config.json for `timm.create_model("local-dir:OUT", pretrained=True)`, and prepare.py."""
    from kdcache.base.tensors import write_tensors

    _check_names(run)
    (weights,) = _free(out, "model.safetensors")
    network: Any = run.network()
    config = _timm_config(run.record.student, network.pretrained_cfg)
    beside = _preparation(run.record.student, out)
    content = json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n"
    settings = out / "config.json"
    # Without the weights it is what an export left that was stopped, when it is the same.
    if not (settings.is_file() and settings.read_bytes() == content):
        _free(out, settings.name)
    make_folder(out)
    _write({**beside, settings: content})
    write_tensors(weights, network.state_dict(), {"format": "pt"})
    return Exported((weights, settings, *beside))


def _check_names(run: Run) -> None:
    """Both formats say logits."""
    if not run.record.student.classes:
        raise UsageError(
            f"{run.record.student.name} names no classes, and timm and ONNX files are written for logits",
            hint=f"its embeddings: kd cache build --teacher run:{run.path}; its weights: {run.weights}",
        )


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


def export_onnx(run: Run, out: Path) -> Exported:
    """Write model.onnx: normalised pixels (any batch, 3, height, width) in, logits out, the student's record in its metadata."""
    _check_names(run)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise Unavailable(f"the ONNX export needs {', '.join(missing)}", hint="pip install 'kd-cache[onnx]'")
    (file,) = _free(out, "model.onnx")
    spec, network = run.record.student, run.network()
    beside = _preparation(spec, out)
    model = _onnx_bytes(network, spec)
    difference, share = _difference(network, model, spec)
    if not share <= TOLERANCE:
        raise Mismatch(
            f"onnxruntime and torch disagree by {share:.1e} of the largest logit, more than {TOLERANCE}: not written"
        )
    make_folder(out)
    _write(beside)
    write_file(file, [model])
    return Exported((file, *beside), difference, share)


def _preparation(spec: StudentSpec, out: Path) -> dict[Path, bytes]:
    """prepare.py and its numbers, the same for both formats, so that both may be written into one folder."""
    numbers = json.dumps(preprocess_numbers(spec), indent=2).encode() + b"\n"
    code = Path(__file__).with_name(PREPARE).read_bytes()
    files = {out / NUMBERS: numbers, out / PREPARE: code}
    for file, content in files.items():
        with storage_errors(file, "read"):
            other = file.exists() and file.read_bytes() != content
        if other:
            raise UsageError(f"{file} is there already, of another student", hint="choose another --out")
    return files


def preprocess_numbers(spec: StudentSpec) -> dict[str, Any]:
    """How an image file becomes what a student sees, in numbers; prepare.py says in words what is done with them."""
    under = colour_of(spec.geometry.background)
    return {
        "size": list(spec.input),
        **{key: value for key, value in spec.geometry.plain().items() if key not in ("kind", "background")},
        "background": None if under is None else list(under),
        "mean": list(spec.mean),
        "std": list(spec.std),
    }


def _write(files: Mapping[Path, bytes]) -> None:
    for file, content in files.items():
        write_file(file, [content])


def _free(out: Path, *names: str) -> tuple[Path, ...]:
    """The files of an export that is not there yet: another student's is not written over."""
    files = tuple(out / name for name in names)
    for file in files:
        if file.exists():
            raise UsageError(f"{file} is there already", hint="choose another --out, or remove the old export")
    return files


def _onnx_bytes(network: "nn.Module", spec: StudentSpec) -> bytes:
    import torch

    _gather_biases(network)
    program = torch.onnx.export(
        network,
        (_random_pixels(spec, 2),),
        dynamo=True,
        verbose=False,
        input_names=[PIXELS],
        output_names=[LOGITS],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert program is not None
    model: Any = program.model_proto
    # Every node carries the source lines it came from, with this machine's paths.
    for node in model.graph.node:
        node.ClearField("metadata_props")
    record = model.metadata_props.add()
    record.key, record.value = "student", json.dumps(spec.plain(), ensure_ascii=False)
    return bytes(model.SerializeToString())


def _gather_biases(network: "nn.Module") -> None:
    """Let timm's attention look its biases up, as it does in training, instead of keeping them for every pair of tokens.

    What it keeps would be baked into the file: 12 heads of 1,024 × 1,024 in each of six blocks at 512 pixels. Nothing else in
    these modules depends on the mode.
    """
    for module in network.modules():
        if hasattr(module, "attention_bias_cache"):
            module.training = True


def _difference(network: "nn.Module", model: bytes, spec: StudentSpec) -> tuple[float, float]:
    """Largest difference between onnxruntime and torch, absolute and as a share, for two sizes of batch."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    furthest, largest = 0.0, 0.0
    for count in (1, 3):
        pixels = _random_pixels(spec, count)
        (said,) = session.run([LOGITS], {PIXELS: pixels.numpy()})
        with torch.no_grad():
            meant = network(pixels)
        furthest = max(furthest, float((torch.from_numpy(said) - meant).abs().max()))
        largest = max(largest, float(meant.abs().max()))
    return furthest, furthest / largest


def _random_pixels(spec: StudentSpec, count: int) -> "torch.Tensor":
    """As normalised pixels are spread: mean 0, deviation 1; the same ones each time."""
    import torch

    generator = torch.Generator().manual_seed(count)
    return torch.randn((count, 3, *spec.input), generator=generator)
