"""Measure the errors of codecs, for the plan; and refuse values (NaN, infinity) that no codec may store."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdcache.codecs.distribution import TEMPERATURES, TopK
from kdcache.errors import Damage
from kdcache.signals.signal import Signal

if TYPE_CHECKING:
    import torch

NAMED_ROWS = 5
# Values processed at a time: 1 MB of float32, so that the result of one step is still in the core's cache in the next.
CHUNK = 1 << 18


def refuse_non_finite(values: "torch.Tensor", signal: Signal) -> float:
    """Largest magnitude. Raises Damage for NaN or infinity, because such a row must never reach a student."""
    import torch

    if not values.numel():
        return 0.0
    low, high = torch.aminmax(values)
    greatest = float(torch.maximum(high, -low))
    if math.isfinite(greatest):
        return greatest
    bad = (~values.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
    named = ", ".join(map(str, bad[:NAMED_ROWS])) + (
        f" and {len(bad) - NAMED_ROWS} more" if len(bad) > NAMED_ROWS else ""
    )
    reason = "the teacher emitted NaN or infinity"
    raise Damage(
        f"{reason}: {signal.name} of rows {named} (of {len(values)} handed over together)",
        hint="if the teacher overflows in half precision, use --precision float32; otherwise check its weights",
        rows=bad,
        reason=reason,
    )


def dense_error(values: "torch.Tensor", decoded: NDArray[np.float32]) -> dict[str, float]:
    """Relative RMS error, largest error, and mean cosine per token, between original and decoded values."""
    true = values.detach().cpu().numpy()
    squares = wrong = worst = cosines = 0.0
    tokens = 0
    for before, after in zip(true, decoded, strict=True):
        a = np.atleast_2d(before).astype(np.float64)
        b = np.atleast_2d(after).astype(np.float64)
        squares += float((a * a).sum())
        wrong += float(((a - b) ** 2).sum())
        worst = max(worst, float(np.abs(a - b).max()))
        norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        live = norms > 0
        cosines += float(((a * b).sum(-1)[live] / norms[live]).sum()) + float((~live).sum())
        tokens += len(a)
    relative = (wrong / squares) ** 0.5 if squares else 0.0
    return {"relative_rms": relative, "max_abs": worst, "cosine": cosines / max(tokens, 1)}


def topk_error(values: "torch.Tensor", decoded: TopK) -> dict[str, float]:
    """Probability mass of the listed classes, largest error of a stored probability, mean KL(true || decoded, uniform tail)."""
    z = values.detach().cpu().double()
    logp = z.log_softmax(-1).numpy()
    head = np.take_along_axis(np.exp(logp), decoded.ids, -1)
    if not len(head):
        return {}
    result = {
        "head_mass": float(head.sum(-1).mean()),
        "max_abs_probability": float(np.abs(decoded.sparse(1.0, "none").p - head).max()),
    }
    for temperature in TEMPERATURES:
        true = (z / temperature).log_softmax(-1).numpy()
        approximate = decoded.probabilities(temperature).astype(np.float64)
        result[f"kl_t{temperature:g}"] = _kl((np.exp(true) * (true - np.log(approximate))).sum(-1).mean())
    return result


def logits_error(values: "torch.Tensor", decoded: NDArray[np.float32]) -> dict[str, float]:
    """For logits of all classes: largest error of a logit and of a probability, and mean KL(true || decoded), in nats."""
    import torch

    if not len(values):
        return {}
    z, back = values.detach().cpu().double(), torch.from_numpy(decoded).double()
    result = {
        "max_abs": float((z - back).abs().max()),
        "max_abs_probability": float((z.softmax(-1) - back.softmax(-1)).abs().max()),
    }
    for temperature in TEMPERATURES:
        true, approximate = (z / temperature).log_softmax(-1), (back / temperature).log_softmax(-1)
        result[f"kl_t{temperature:g}"] = _kl((true.exp() * (true - approximate)).sum(-1).mean())
    return result


def _kl(mean: Any) -> float:
    """The mean divergence as a number. A divergence is never negative, so a negative rounding error becomes 0."""
    return max(0.0, float(mean))


def as_tensor(decoded: NDArray[Any]) -> "torch.Tensor":
    """Decoded values as a tensor. Read-only mapped arrays are copied, because torch has no read-only tensors."""
    import torch

    return torch.from_numpy(decoded if decoded.flags.writeable else decoded.copy())


def channels(values: "torch.Tensor") -> "torch.Tensor":
    """Values reshaped to (rows x tokens, channels); the last axis of a signal is its channels."""
    return values.reshape(-1, values.shape[-1])


def rows_of_chunk(flat: Any) -> int:
    """How many rows of a (rows, channels) array to process at a time."""
    return max(1, CHUNK // int(flat.shape[1]))


def chunks(flat: Any) -> list[slice]:
    """Slices over the rows of a (rows, channels) array, each small enough to stay in a core's own cache."""
    height = rows_of_chunk(flat)
    return [slice(start, start + height) for start in range(0, len(flat), height)]


def reach(values: "torch.Tensor") -> "torch.Tensor":
    """Largest magnitude of each channel; 0 for no rows."""
    import torch

    flat = channels(values)
    highest = values.new_zeros(values.shape[-1])
    for rows in chunks(flat):
        highest = torch.maximum(highest, flat[rows].abs().amax(0))
    return highest
