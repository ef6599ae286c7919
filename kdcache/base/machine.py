"""What this machine offers: devices, cores, and the batch that suits them."""

import os


def render_workers(asked: int | None) -> int:
    """Number of processes that render views: `asked`, or for None one a core but at most sixteen."""
    return min(16, len(os.sched_getaffinity(0))) if asked is None else asked


def best_device() -> str:
    """`cuda` when there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def out_of_memory() -> type[BaseException]:
    """The error a device raises when its memory is used up."""
    import torch

    return torch.OutOfMemoryError


def default_batch(size: tuple[int, int], device: str, step: int | None = None) -> int:
    """Images in a teacher batch: a power of two that keeps the batch within 2^25 pixels on a GPU, 2^22 on a CPU.

    With `step` (the batch of a training step), `step` is split into equal batches of at most that size, to waste little padding.
    """
    pixels, most = (1 << 25, 256) if device.startswith("cuda") else (1 << 22, 64)
    fit = max(1, pixels // (size[0] * size[1]))
    batch = min(most, 1 << (fit.bit_length() - 1))
    return batch if step is None else -(-step // -(-step // batch))
