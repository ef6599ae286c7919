"""Exports a trained student as an ONNX file.

Input: a run. Output: model.onnx, which is compared with torch before it is written; beside it preprocess.json, the numbers of
the student's preprocessing, and prepare.py, which prepares an image file with them and does not need kd.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcache.base.atomic import make_folder, write_file
from kdcache.errors import Mismatch, Unavailable
from students.export.exported import Exported, check_format, preparation, unused, write_all
from students.families.registry import family_of, head_of
from students.families.spec import StudentSpec
from students.runs.run import Run

if TYPE_CHECKING:
    import torch
    from torch import nn

NEEDED = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-3
"""Largest accepted difference of an ONNX logit from torch's, as a fraction of the largest logit."""
PIXELS, LOGITS = "pixels", "logits"


def export_onnx(run: Run, out: Path) -> Exported:
    """Write model.onnx: normalised pixels (batch, 3, height, width) -> logits, with the student's record in its metadata."""
    check_format(run, "onnx")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise Unavailable(f"the ONNX export needs {', '.join(missing)}", hint="pip install 'kd-cache[onnx]'")
    (file,) = unused(out, "model.onnx")
    spec, network = run.record.student, run.network()
    beside = preparation(spec, out)
    model = _onnx_bytes(network, spec)
    difference, share = _difference(run.network(), model, spec)
    if not share <= TOLERANCE:
        raise Mismatch(
            f"onnxruntime and torch disagree by {share:.1e} of the largest logit, more than {TOLERANCE}: not written"
        )
    make_folder(out)
    write_all(beside)
    write_file(file, [model])
    return Exported((file, *beside), difference, share)


def _onnx_bytes(network: "nn.Module", spec: StudentSpec) -> bytes:
    import torch

    program = torch.onnx.export(
        family_of(spec).traced(network, spec, LOGITS),
        (_random_pixels(spec, 2),),
        dynamo=True,
        verbose=False,
        input_names=[PIXELS],
        output_names=[LOGITS],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert program is not None
    model: Any = program.model_proto
    # torch notes in every node the source lines it came from, with paths of this machine.
    for node in model.graph.node:
        node.ClearField("metadata_props")
    record = model.metadata_props.add()
    record.key, record.value = "student", json.dumps(spec.plain(), ensure_ascii=False)
    return bytes(model.SerializeToString())


def _difference(network: "nn.Module", model: bytes, spec: StudentSpec) -> tuple[float, float]:
    """Largest difference between onnxruntime and torch, absolute and as a fraction of the largest logit, for two batch sizes."""
    import onnxruntime
    import torch

    logits = head_of(spec, network, LOGITS)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    furthest, largest = 0.0, 0.0
    for count in (1, 3):
        pixels = _random_pixels(spec, count)
        (theirs,) = session.run([LOGITS], {PIXELS: pixels.numpy()})
        with torch.no_grad():
            ours = logits(pixels)
        furthest = max(furthest, float((torch.from_numpy(theirs) - ours).abs().max()))
        largest = max(largest, float(ours.abs().max()))
    return furthest, furthest / largest


def _random_pixels(spec: StudentSpec, count: int) -> "torch.Tensor":
    """Random pixels with mean 0 and standard deviation 1, like normalised ones; the same at every call."""
    import torch

    generator = torch.Generator().manual_seed(count)
    return torch.randn((count, 3, *spec.input), generator=generator)
