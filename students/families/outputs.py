"""Shapes of a student's outputs, computed on torch's meta device without running the network."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kdcache.signals.signal import Signal
from students.families.registry import build_student, family_of
from students.families.spec import StudentSpec

if TYPE_CHECKING:
    from torch import Tensor


class Outputs(Mapping[str, Signal]):
    """Every output of a student, with the shape of one example; computed at the first lookup."""

    def __init__(self, spec: StudentSpec) -> None:
        self._spec = spec
        self._names = family_of(spec).outputs(spec)

    def __getitem__(self, name: str) -> Signal:
        return self._signals[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @cached_property
    def _signals(self) -> dict[str, Signal]:
        import torch

        family, spec = family_of(self._spec), self._spec
        with torch.device("meta"), torch.no_grad():
            trained = family.trained(build_student(spec), spec, frozenset(self._names)).eval()
            output = trained(**family.batch(torch.empty(1, 3, *spec.input), {}, {}, spec))
        return {name: signal_of(name, value) for name, value in output.items()}


def signal_of(name: str, output: "Tensor | list[Tensor]") -> Signal:
    """Shape of an output as a signal: a vector, a map with channels last, or a stack of layers."""
    if isinstance(output, list):
        return Signal(name=name, shape=(len(output), *output[0].shape[1:]))
    shape: tuple[Any, ...] = tuple(output.shape[1:])
    if len(shape) == 3:
        channels, height, width = shape
        return Signal(name=name, shape=(height * width, channels), grid=(height, width))
    return Signal(name=name, shape=shape)
