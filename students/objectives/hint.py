"""A hint (FitNets, arXiv 1412.6550): an intermediate output of the student is trained to match one of the teacher.

Input: an output of the student and a signal of the teacher, either both vectors or both maps of tokens. If their widths differ,
a linear layer maps the output to the width of the signal; it is trained with the student and dropped afterwards. If two maps have
grids of different sizes, the finer one is averaged to the coarser. Output: one loss per example.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from kdcache.errors import Mismatch
from kdcache.signals.signal import Signal
from students.base.contracts import Needs
from students.base.objective import Objective, Sides
from students.base.types import Address

if TYPE_CHECKING:
    from torch import Tensor, nn

Grid = tuple[int, int]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Hint(Objective):
    """Matches a vector or a map of the teacher through a trained linear layer."""

    kind: ClassVar[str] = "hint"
    signal: Address = "embedding"
    """The teacher's signal: a vector or a map, such as `embedding` or `features`; of one of several caches
    NAME.`embedding`."""
    output: Name = "embedding"
    """Student's output that is matched with the signal and has the same kind."""
    loss: Literal["mse", "cosine"] = "mse"
    """Distance: the mean squared error over tokens and channels, or 1 - cosine, the mean over tokens."""

    @property
    def parts(self) -> tuple[str, ...]:
        """One loss, named after the distance."""
        return (self.loss,)

    @property
    def described(self) -> str:
        """`embedding of the teacher`."""
        return f"{self.signal} of the teacher"

    def needs(self) -> Needs:
        """The signal and the output."""
        return Needs(signals=(self.signal,), outputs=(self.output,))

    def check(self, sides: Sides) -> None:
        """Raises Mismatch unless both are vectors, or both are maps whose grids can be aligned."""
        theirs, ours = sides.signals.get(self.signal), sides.outputs[self.output]
        if theirs is None:
            return
        teacher = f"{self.signal} of {sides.source} is {_called(theirs)}"
        student = f"{self.output} of {sides.spec.name} {_called(ours)}"
        kind = theirs.kind
        if kind != ours.kind or kind not in ("vector", "map"):
            raise Mismatch(
                f"{teacher}, {student}: a hint matches two vectors or two maps",
                hint=f"--set {sides.setting}.signal=… or {sides.setting}.output=…: the cache keeps "
                f"{', '.join(sides.signals)}, the student gives {', '.join(sides.outputs)}",
            )
        if kind == "map" and theirs.shape[0] != ours.shape[0] and None in (theirs.grid, ours.grid):
            raise Mismatch(
                f"{teacher}, {student}: without a grid on both sides, both need the same number of tokens",
                hint=f"match vectors instead: --set {sides.setting}.signal=embedding --set {sides.setting}.output=embedding",
            )

    def module(self, sides: Sides) -> "nn.Module":
        """A module that brings output and signal into one shape, with a linear layer if their widths differ."""
        theirs, ours = sides.signals[self.signal], sides.outputs[self.output]
        alike = ours.shape[:-1] == theirs.shape[:-1] and ours.grid == theirs.grid
        grids = None if alike or ours.grid is None or theirs.grid is None else (ours.grid, theirs.grid)
        return regressor(ours.shape[-1], theirs.shape[-1], grids)

    def losses(
        self,
        output: Mapping[str, Any],
        signals: Mapping[str, Any],
        truths: Mapping[str, Any],
        module: "nn.Module | None" = None,
    ) -> "dict[str, tuple[float, Tensor]]":
        """The distance, always in float32."""
        from torch.nn import functional

        assert module is not None, "`module` always gives one"
        ours, wanted = module(output[self.output].float(), signals[self.signal].float())
        if self.loss == "mse":
            each = functional.mse_loss(ours, wanted, reduction="none").mean(-1)
        else:
            each = 1 - functional.cosine_similarity(ours, wanted, dim=-1)
        return {self.loss: (1.0, each if each.ndim == 1 else each.flatten(1).mean(1))}


def regressor(width: int, wanted: int, grids: tuple[Grid, Grid] | None) -> "nn.Module":
    """A module that brings the student's output and the teacher's signal into one shape.

    `grids`: grids of both sides, if they differ; None: nothing is averaged.
    """
    from torch import nn

    class Regressor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Identity() if width == wanted else nn.Linear(width, wanted)

        def forward(self, ours: "Tensor", theirs: "Tensor") -> "tuple[Tensor, Tensor]":
            ours = tokens_of(ours)
            if grids is not None:
                coarse = min(grids[0][0], grids[1][0]), min(grids[0][1], grids[1][1])
                ours, theirs = averaged(ours, grids[0], coarse), averaged(theirs, grids[1], coarse)
            return self.linear(ours), theirs

    return Regressor()


def tokens_of(output: "Tensor") -> "Tensor":
    """A map with channels last: (examples, channels, height, width) becomes (examples, tokens, channels)."""
    return output.flatten(2).transpose(1, 2) if output.ndim == 4 else output


def averaged(tokens: "Tensor", grid: Grid, coarse: Grid) -> "Tensor":
    """Tokens (examples, tokens, channels) on a grid, averaged to a coarser grid."""
    from torch.nn import functional

    if grid == coarse:
        return tokens
    image = tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)
    return functional.adaptive_avg_pool2d(image, coarse).flatten(2).transpose(1, 2)


def _called(signal: Signal) -> str:
    grid = f" on a grid of {signal.grid[0]}×{signal.grid[1]}" if signal.grid else ""
    return f"a {signal.kind} of {'×'.join(map(str, signal.shape))}{grid}"


OBJECTIVE = Hint
