"""Checks before the first step that the disk has room for everything a training will write.

Input: the run and the content of a checkpoint. Output: nothing, or a StorageError that says how much room is needed.
"""

import shutil
from pathlib import Path

from kdcache.base.atomic import storage_errors
from kdcache.base.figures import size
from kdcache.errors import StorageError
from students.runs.checkpoint import KEPT, Parts
from students.runs.record import Pacing
from students.runs.run import CHECKPOINTS

_LINE = 1024
"""Bytes of a line of metrics.jsonl, a generous estimate."""
_MORE = 1 << 20
"""Bytes of the record, the states and an evaluation, a generous estimate."""


def check_room(run: Path, parts: Parts, pacing: Pacing) -> None:
    """Raise StorageError if the disk is too small. While a file is written, the one it replaces is there as well."""
    checkpoint, weights = _bytes_of(parts)
    lines = _LINE * (pacing.steps // pacing.log_every + pacing.steps // pacing.validate_every)
    whole = (KEPT + 1) * checkpoint + 2 * weights + lines + _MORE
    with storage_errors(run):
        there = sum(
            file.stat().st_size for file in [*run.glob(f"{CHECKPOINTS}/[!.]*/*"), *run.glob("best.safetensors")]
        )
        free = shutil.disk_usage(run).free
    if free + there < whole:
        message = f"{run} has room for {size(free)}, this training needs {size(whole - there)}"
        hint = f"make room there, or choose another --out; a checkpoint takes {size(checkpoint)}, {KEPT} are kept"
        raise StorageError(message, hint=hint, path=str(run))


def _bytes_of(parts: Parts) -> tuple[int, int]:
    """Bytes of a checkpoint, and of the weights alone. No optimiser keeps more than two moments of a parameter."""
    weights = sum(tensor.nbytes for tensor in parts.network.state_dict().values())
    groups = (group for optimiser in parts.optimisers for group in optimiser.param_groups)
    moved = sum(tensor.nbytes for group in groups for tensor in group["params"])
    beside = sum(tensor.nbytes for tensor in (*parts.own.state_dict().values(), *parts.constraint_states.values()))
    return weights * (1 if parts.average is None else 2) + 2 * moved + beside, weights
