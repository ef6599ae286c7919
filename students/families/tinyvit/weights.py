"""Reads weights of TinyViT in the published layout or for other windows, and numbers its layers for the optimiser.

Facts about the published training code and weights are from the folder TinyViT/ of microsoft/Cream.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from students.base.contracts import Adopted, Group, Tensors

if TYPE_CHECKING:
    from torch import nn

BIASES = "attention_biases"
INDICES = "attention_bias_idxs"
_PUBLISHED = re.compile(r"layers\.\d+\.")
_RENAMES = (
    (re.compile(r"^patch_embed\.seq\.0\."), "patch_embed.conv1."),
    (re.compile(r"^patch_embed\.seq\.2\."), "patch_embed.conv2."),
    (re.compile(r"^layers\.(\d+)\.downsample\."), lambda found: f"stages.{int(found[1]) + 1}.downsample."),
    (re.compile(r"^layers\."), "stages."),
    (re.compile(r"\.c\.weight$"), ".conv.weight"),
    (re.compile(r"^norm_head\."), "head.norm."),
    (re.compile(r"^head\.(weight|bias)$"), r"head.fc.\1"),
)


def adopted(tensors: Mapping[str, Any], network: "nn.Module") -> Adopted:
    """Tensors in timm's or the published layout -> the same under timm's names, for the windows of this network."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(INDICES)}
    layout = "published" if any(_PUBLISHED.match(name) for name in kept) else "timm"
    named = {_renamed(name): tensor for name, tensor in kept.items()} if layout == "published" else kept
    changed = _fitted(named, network)
    return Adopted(named | changed, layout, tuple(changed))


def groups(network: Any) -> Iterable[Group]:
    """Every trained parameter with its layer; weight decay applies to the same ones as in TinyViT/optimizer.py."""
    depths = tuple(network.depths)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            spared = parameter.ndim <= 1 or name.endswith((".bias", BIASES))
            yield Group(name, parameter, _layer(name, depths), not spared)


def _layer(name: str, depths: tuple[int, ...]) -> int:
    """Layer in TinyViT's numbering: the stem counts as the first block, a downsampling as the block before, the head as the last.

    As in `set_layer_lr_decay` of TinyViT/models/tiny_vit.py, where a downsampling ends its stage; in timm it begins the next.
    """
    if name.startswith("patch_embed."):
        return 0
    if name.startswith("head."):
        return sum(depths) - 1
    found = re.match(r"stages\.(\d+)\.(?:downsample|blocks\.(\d+))\.", name)
    assert found, f"{name} is not a parameter of TinyViT"
    before = sum(depths[: int(found[1])])
    return before - 1 if found[2] is None else before + int(found[2])


def _fitted(tensors: Mapping[str, Any], network: "nn.Module") -> Tensors:
    """The attention biases of windows of another size, interpolated as TinyViT does for another resolution."""
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items() if name.endswith(BIASES)}
    return {
        name: _resized(tensors[name], wanted[name][1])
        for name in wanted
        if name in tensors and _another_window(tensors[name], wanted[name])
    }


def _renamed(name: str) -> str:
    for pattern, new in _RENAMES:
        name = pattern.sub(new, name)
    return name


def _another_window(tensor: Any, wanted: tuple[int, ...]) -> bool:
    """Whether biases have the same heads but another square number of offsets. Integers are not changed, and refused later."""
    if (
        not tensor.is_floating_point()
        or tensor.ndim != 2
        or tensor.shape[0] != wanted[0]
        or tensor.shape[1] == wanted[1]
    ):
        return False
    offsets = int(tensor.shape[1])
    return math.isqrt(offsets) ** 2 == offsets


def _resized(biases: Any, offsets: int) -> Any:
    """Interpolate the biases, a square of offsets per head, bicubically, as in `load_pretrained` of TinyViT/utils.py."""
    from torch.nn import functional as F

    heads, old = biases.shape
    before, after = math.isqrt(old), math.isqrt(offsets)
    square = biases.float().reshape(1, heads, before, before)
    return F.interpolate(square, size=(after, after), mode="bicubic").reshape(heads, offsets)
