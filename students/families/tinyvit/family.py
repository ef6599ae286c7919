"""TinyViT (arXiv 2207.10666) as timm builds it: a convolutional stage, then three of attention in windows.

Facts about the published training code and weights are from TinyViT/ of microsoft/Cream.
"""

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import TeacherSpec
from students.families.family import Tensors
from students.families.spec import MOST_WINDOW, StudentSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

STRIDE = 32
"""the last map has a 32nd of the input's side"""
LARGEST = MOST_WINDOW // 2 * STRIDE
"""side of the largest input: the last map but one is looked at in one window"""
BIASES = "attention_biases"
INDICES = "attention_bias_idxs"
_PUBLISHED = re.compile(r"layers\.\d+\.")
_NETWORK = re.compile(r"tiny_vit_[a-z0-9_]+")
"""timm's names of it, none of which leads to the Hub"""
_RENAMES = (
    (re.compile(r"^patch_embed\.seq\.0\."), "patch_embed.conv1."),
    (re.compile(r"^patch_embed\.seq\.2\."), "patch_embed.conv2."),
    (re.compile(r"^layers\.(\d+)\.downsample\."), lambda found: f"stages.{int(found[1]) + 1}.downsample."),
    (re.compile(r"^layers\."), "stages."),
    (re.compile(r"\.c\.weight$"), ".conv.weight"),
    (re.compile(r"^norm_head\."), "head.norm."),
    (re.compile(r"^head\.(weight|bias)$"), r"head.fc.\1"),
)


class TinyViT:
    """The family `tinyvit`."""

    head: str | None = "head.fc"

    def windows(self, size: int) -> tuple[int, ...]:
        """7/7/14/7 at 224, 12/12/24/12 at 384, 16/16/32/16 at 512: the last map in one window, the one before it too."""
        if size < STRIDE or size % STRIDE:
            below = max(STRIDE, size // STRIDE * STRIDE)
            hint = f"{below} and {below + STRIDE} are the nearest"
            raise UsageError(f"TinyViT cannot see {size} pixels: the side must be a multiple of {STRIDE}", hint=hint)
        if size > LARGEST:
            raise UsageError(
                f"TinyViT cannot see {size:,} pixels: {LARGEST:,} at most", hint="512 is the largest published"
            )
        side = size // STRIDE
        return side, side, 2 * side, side

    def build(self, spec: StudentSpec) -> "nn.Module":
        """timm's network."""
        import timm

        height, width = spec.input
        fitting = _NETWORK.fullmatch(spec.network) and timm.is_model(spec.network) and spec.blocks is None
        if not fitting or height != width or spec.windows != self.windows(height):
            raise Mismatch(
                f"{spec.name} is no TinyViT: {spec.network} with windows {spec.windows} at {height}x{width} pixels",
                hint="take the network of one of configs/students, or a run that kd wrote",
            )
        network: nn.Module = timm.create_model(
            spec.network,
            pretrained=False,
            num_classes=len(spec.classes),
            window_sizes=list(spec.windows),
            drop_path_rate=spec.drop_path,
        )
        return network

    def begin(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """It shares nothing with its teacher."""

    def check_shared(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """It shares nothing with its teacher."""

    def embed(self, network: Any, pixels: "Tensor") -> "Tensor":
        """The pooled features."""
        pooled: Tensor = network.forward_head(network.forward_features(pixels), pre_logits=True)
        return pooled

    def own_names(self, tensors: Mapping[str, Any]) -> tuple[Tensors, str]:
        """timm's names for tensors in timm's or in the published layout."""
        kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(INDICES)}
        if not any(_PUBLISHED.match(name) for name in kept):
            return kept, "timm"
        return {_renamed(name): tensor for name, tensor in kept.items()}, "published"

    def fitted(self, tensors: Tensors, network: "nn.Module") -> tuple[Tensors, tuple[str, ...]]:
        """Attention biases of windows of another size, interpolated as TinyViT does between resolutions."""
        wanted = {name: tensor.shape for name, tensor in network.state_dict().items() if name.endswith(BIASES)}
        changed = {
            name: _resized(tensors[name], wanted[name][1])
            for name in wanted
            if name in tensors and _another_window(tensors[name], wanted[name])
        }
        return tensors | changed, tuple(changed)

    def layers(self, network: "nn.Module") -> int:
        """One for each block."""
        return sum(_depths(network))

    def layer(self, name: str, network: "nn.Module") -> int:
        """TinyViT's numbering: the stem counts as the first block, a downsampling as the block before it, the head as the last.

        That is `set_layer_lr_decay` of TinyViT/models/tiny_vit.py. There a downsampling ends its stage; timm's begins the next.
        """
        depths = _depths(network)
        if name.startswith("patch_embed."):
            return 0
        if name.startswith("head."):
            return sum(depths) - 1
        found = re.match(r"stages\.(\d+)\.(?:downsample|blocks\.(\d+))\.", name)
        assert found, f"{name} is no parameter of TinyViT"
        before = sum(depths[: int(found[1])])
        return before - 1 if found[2] is None else before + int(found[2])


def _depths(network: Any) -> tuple[int, ...]:
    """Blocks of each stage, as timm keeps them."""
    return tuple(network.depths)


def _renamed(name: str) -> str:
    for pattern, new in _RENAMES:
        name = pattern.sub(new, name)
    return name


def _another_window(tensor: Any, wanted: tuple[int, ...]) -> bool:
    """Same heads, another number of offsets, and these a square."""
    if tensor.ndim != 2 or tensor.shape[0] != wanted[0] or tensor.shape[1] == wanted[1]:
        return False
    offsets = int(tensor.shape[1])
    return math.isqrt(offsets) ** 2 == offsets


def _resized(biases: Any, offsets: int) -> Any:
    """Biases are a square of offsets for each head, (0, 0) first; bicubic, as `load_pretrained` of TinyViT/utils.py."""
    from torch.nn import functional as F

    heads, old = biases.shape
    before, after = math.isqrt(old), math.isqrt(offsets)
    square = biases.float().reshape(1, heads, before, before)
    return F.interpolate(square, size=(after, after), mode="bicubic").reshape(heads, offsets)


FAMILY = TinyViT()
