"""Dimensions of a TinyViT, as presets and runs keep them.

The paper (arXiv 2207.10666, "Model architectures") shrinks one network by these factors: widths of the four stages (γ_D in
the paper), blocks per stage (γ_N), window sides of the last three stages (γ_W), expansion of the convolutional blocks (γ_R) and
of the FFNs (γ_M), and channels per head (γ_E, which determines the numbers of heads).
"""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from kdcache.base.strict import Strict
from kdcache.networks.bounds import MOST_WEIGHTS, Layers, Width
from students.base.contracts import Request
from students.families.preset import Preset
from students.families.spec import DropPath, StudentSpec, counted_fields

MOST_WINDOW = 64
"""Largest side length of an attention window."""
MOST_OFFSETS = 1 << 28
"""Largest number of token pairs over all blocks: timm keeps an index of 8 bytes for each."""
STRIDE = 32
"""Total downsampling factor: the last feature map has 1/32 of the input's side length."""
LARGEST = MOST_WINDOW // 2 * STRIDE
"""Largest side length of the input, in pixels: the third stage of the published sizes attends over its whole map in
one window."""
PUBLISHED: dict[str, dict[str, tuple[int, ...]]] = {
    "tiny_vit_5m_224": {"widths": (64, 128, 160, 320), "depths": (2, 2, 6, 2), "heads": (2, 4, 5, 10)},
    "tiny_vit_11m_224": {"widths": (64, 128, 256, 448), "depths": (2, 2, 6, 2), "heads": (2, 4, 8, 14)},
    "tiny_vit_21m_224": {"widths": (96, 192, 384, 576), "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 18)},
}
"""timm's names of the published sizes -> their dimensions. The first release wrote only the name into runs."""
ANY = "tiny_vit_5m_224"
"""Name of the timm builder used for every other size: it takes all dimensions as arguments."""
_NETWORK = re.compile(r"tiny_vit_[a-z0-9_]+")
"""Pattern of timm's TinyViT names; none of them can name a model on the Hub."""
Ratio = Annotated[float, Field(gt=0.0, le=64.0)]
Kernel = Annotated[int, Field(ge=1, le=31, multiple_of=1)]
Window = Annotated[int, Field(ge=1, le=MOST_WINDOW)]
Widths = Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)]
Depths = Annotated[tuple[Layers, ...], Field(min_length=4, max_length=4)]
Windows = Annotated[tuple[Window, ...], Field(min_length=4, max_length=4)]


class Numbers(Strict):
    """Dimensions of a TinyViT, in a preset and in a run."""

    network: str | None = None
    """Name of a timm network, instead of dimensions; runs of the first release have only this name."""
    widths: Widths | None = None
    """Number of channels of the four stages."""
    depths: Depths | None = None
    """Number of blocks of the four stages."""
    heads: Widths | None = None
    """Number of attention heads of the four stages; the first stage is convolutional and uses none."""
    mlp_ratio: Ratio = 4.0
    """Hidden width of an FFN as a multiple of the stage's width."""
    expand_ratio: Ratio = 4.0
    """Hidden width of a convolutional block as a multiple of the stage's width."""
    kernel: Kernel = 3
    """Side length of the convolution between attention and FFN."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        numbers = (self.widths, self.depths, self.heads)
        if self.network is not None:
            own = any(its is not None for its in numbers) or (self.mlp_ratio, self.expand_ratio, self.kernel) != (
                4.0,
                4.0,
                3,
            )
            if own or not _NETWORK.fullmatch(self.network):
                raise ValueError(
                    "give either the dimensions of a TinyViT or `network: tiny_vit_…`, a name of timm, not both"
                )
            return self
        if self.widths is None or self.depths is None or self.heads is None:
            raise ValueError("a TinyViT needs widths, depths and heads, four numbers each")
        for width, heads in zip(self.widths[1:], self.heads[1:], strict=True):
            if width % heads:
                raise ValueError(f"{width} channels cannot be divided among {heads} heads")
        if not self.kernel % 2:
            raise ValueError(f"kernel is {self.kernel}: it must be odd")
        if (count := _weights(self)) > MOST_WEIGHTS:
            raise ValueError(f"it would have about {count:,} weights, and {MOST_WEIGHTS:,} are allowed")
        return self


class TinyViTPreset(Numbers, Preset):
    """A file of configs/students with `family: tinyvit`."""

    windows: Windows | None = None
    """Side lengths of the four stages' attention windows at `input` pixels; they scale with the input, and the first
    stage uses none. None: as published, where the last two stages attend over their whole map in one window."""
    drop_path: DropPath
    """Stochastic depth rate, unless the recipe sets one."""

    def windows_at(self, side: int) -> tuple[int, ...]:
        """Windows for an input of this size, in proportion: 7/7/14/7 at 224 pixels is 12/12/24/12 at 384, 16/16/32/16 at 512."""
        if self.windows is not None:
            return tuple(max(1, round(window * side / self.input)) for window in self.windows)
        last = side // STRIDE
        return last, last, 2 * last, last


class TinyViTSpec(Numbers, StudentSpec):
    """A TinyViT with its classes and its input size."""

    left_out: ClassVar = frozenset({"network", "blocks", "widths", "depths", "heads"})
    blocks: None = None
    """Always None: a field of another family, which the first release wrote into every run."""
    windows: Windows
    """Side lengths of the four stages' attention windows."""
    drop_path: DropPath = 0.0
    """Stochastic depth rate of the last block; it grows linearly from 0 at the first."""

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        height, width = self.input
        if len(self.classes) < 2:
            raise ValueError(f"{len(self.classes)} classes: a student needs at least 2")
        if height != width or height % STRIDE or height > LARGEST:
            raise ValueError(
                f"input of {height}x{width} pixels: TinyViT needs a square whose side is a multiple of {STRIDE}, up to {LARGEST}"
            )
        if self.widths is not None and len(self.classes) * self.widths[-1] > MOST_WEIGHTS:
            raise ValueError(f"{len(self.classes):,} classes on {self.widths[-1]:,} channels are too many weights")
        depths = self.depths or (2, 2, 6, 2)
        pairs = sum(depth * window**4 for depth, window in zip(depths[1:], self.windows[1:], strict=True))
        if pairs > MOST_OFFSETS:
            raise ValueError(f"its windows would hold {pairs:,} pairs of tokens, and {MOST_OFFSETS:,} are allowed")
        return self

    @classmethod
    def of(cls, preset: TinyViTPreset, request: Request, side: int) -> Self:
        """The student of a preset, whose request was checked before."""
        return cls(
            **{name: value for name in Numbers.model_fields if (value := getattr(preset, name)) is not None},
            name=request.name,
            family=preset.family,
            input=(side, side),
            mean=preset.mean,
            std=preset.std,
            geometry=preset.geometry_for(request, side),
            classes=request.classes,
            windows=preset.windows_at(side),
            drop_path=preset.drop_path if request.drop_path is None else request.drop_path,
        )

    @property
    def architecture(self) -> str:
        """timm's name of the network, or of the builder that takes its dimensions."""
        return self.network or self._published or ANY

    @property
    def _published(self) -> str | None:
        """timm's name of the published size with these dimensions; None if there is none."""
        same = {"widths": self.widths, "depths": self.depths, "heads": self.heads}
        plain = (self.mlp_ratio, self.expand_ratio, self.kernel) == (4.0, 4.0, 3)
        return next((name for name, numbers in PUBLISHED.items() if numbers == same), None) if plain else None

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of timm's builder of `architecture`, except the number of classes."""
        arguments: dict[str, Any] = {"window_sizes": list(self.windows), "drop_path_rate": self.drop_path}
        if self.network is None and self._published is None:
            arguments |= {"embed_dims": self.widths, "depths": self.depths, "num_heads": self.heads}
            arguments = {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
            arguments |= {
                "mlp_ratio": self.mlp_ratio,
                "mbconv_expand_ratio": self.expand_ratio,
                "local_conv_size": self.kernel,
            }
        return arguments

    @property
    def described(self) -> str:
        """timm's name of the network, or its widths, depths and heads."""
        if name := self.network or self._published:
            return f"{name} of timm"
        return (
            f"a TinyViT of widths {_slashed(self.widths)}, depths {_slashed(self.depths)}, heads {_slashed(self.heads)}"
        )

    @property
    def details(self) -> dict[str, str]:
        """Its windows, stage by stage, and its stochastic depth."""
        return {"windows": _slashed(self.windows), "drop path": f"{self.drop_path:g}"}

    def counted(self) -> dict[str, Any]:
        """The identifying fields; a published size is identified by timm's name, as in the first release."""
        fields = {**counted_fields(self), "network": self.architecture}
        if self.network is not None or self._published is not None:
            for name in ("widths", "depths", "heads"):
                fields.pop(name, None)
        return fields


def _slashed(numbers: tuple[int, ...] | None) -> str:
    return "/".join(map(str, numbers or ()))


def _weights(numbers: Numbers) -> int:
    """Weights of all matrices and convolutions except the classifier's, approximately."""
    widths, depths = numbers.widths or (), numbers.depths or ()
    first = widths[0]
    count = 2 * first**2 + depths[0] * 2 * numbers.expand_ratio * first**2
    for before, width, depth in zip(widths, widths[1:], depths[1:], strict=False):
        count += (
            before * width + width**2 + depth * ((4 + 2 * numbers.mlp_ratio) * width**2 + numbers.kernel**2 * width)
        )
    return int(count)
