"""The format `listing`: the weights, and a text that names them."""

from pathlib import Path

from students.export.exported import Exported, check_format, preparation, unused, write_all
from students.runs.run import Run


def export_listing(run: Run, out: Path) -> Exported:
    """Write weights.safetensors and listing.txt, and what prepares an image for the student."""
    from kdcache.base.atomic import make_folder
    from kdcache.base.tensors import write_tensors

    check_format(run, "listing")
    weights, text = unused(out, "weights.safetensors", "listing.txt")
    state, beside = run.network().state_dict(), preparation(run.record.student, out)
    lines = [f"{name} {'x'.join(map(str, tensor.shape))}\n" for name, tensor in state.items()]
    make_folder(out)
    write_all({**beside, text: "".join(lines).encode()})
    write_tensors(weights, state, {"format": "pt"})
    return Exported((weights, text, *beside))
