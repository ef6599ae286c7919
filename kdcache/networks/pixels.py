"""The input of networks: normalised pixels, and the precision they compute in.

Input: views as uint8 (batch, height, width, 3). Output: float32 (batch, 3, height, width), and autocast contexts. Teachers and
students both use them, so that they can be compared.
"""

import torch
from torch import Tensor


def normalised(pixels: Tensor, mean: Tensor, std: Tensor, *, channels_last: bool = False) -> Tensor:
    """(pixel / 255 - mean) / std in float32, channels first, on the device of `mean`. `mean` and `std` have shape (1, 3, 1, 1).

    `channels_last` keeps the memory layout of the views; values do not depend on it.
    """
    layout = torch.preserve_format if channels_last else torch.contiguous_format
    channels_first = pixels.to(mean.device, non_blocking=True).permute(0, 3, 1, 2)
    return channels_first.to(torch.float32, memory_format=layout).div_(255).sub_(mean).div_(std)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context for a precision; disabled for float32."""
    dtype = torch.bfloat16 if precision == "float32" else getattr(torch, precision)
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "float32")


def fastest_precision(device: torch.device) -> str:
    """`bfloat16` where the device computes with it, else `float32`: a CPU that must emulate it takes twice as long."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # torch has no public names for these
        native = device.type == "cpu" and any(getattr(torch.cpu, name, lambda: False)() for name in asked)
    return "bfloat16" if native else "float32"
