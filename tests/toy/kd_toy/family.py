"""The student family: what it needs, what it gives, and how kd builds and trains it. torch is imported inside functions."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kd_toy.spec import ToyPreset, ToySpec
from kdcache.errors import UsageError
from kdcache.signals.teacher import TeacherSpec
from students.base.contracts import Adopted, Defaults, Group, Head, Needs, Request

if TYPE_CHECKING:
    from torch import Tensor, nn


class Toy:
    """A convolution and a decoder."""

    name = "toy"
    description = "reads how light an image is, word by word"
    preset, spec = ToyPreset, ToySpec
    defaults = Defaults(task="reading", teacher="toy", signals=("words", "shades", "odds"))
    classifier = None
    exports = {"listing": "kd_toy.export:export_listing"}

    def resolve(self, preset: ToyPreset, request: Request, before: ToySpec | None) -> ToySpec:
        """The student of a preset."""
        side = request.size or preset.input
        if side < 32:
            raise UsageError(f"{request.name} cannot see {side} pixels: 32 at least", hint="--size 32")
        geometry = preset.geometry_for(request, side)
        return ToySpec(
            name=request.name, family=self.name, input=(side, side), mean=preset.mean, std=preset.std,
            geometry=geometry, classes=request.classes, width=preset.width,
        )  # fmt: skip

    def check_batch(self, spec: ToySpec, batch: int, micro: int) -> None:
        """Any will do."""

    def needs(self, spec: ToySpec) -> Needs:
        """The words before the one it shall guess."""
        return Needs(signals=("words",))

    def outputs(self, spec: ToySpec) -> tuple[str, ...]:
        """What an objective may compare."""
        return "guesses", "tiles"

    def build(self, spec: ToySpec) -> "nn.Module":
        """The network, its weights random."""
        from kd_toy.network import Network

        return Network(spec.width)

    def trained(self, network: Any, spec: ToySpec, outputs: frozenset[str]) -> "nn.Module":
        """What a step calls with what `batch` gives."""
        from kd_toy.network import Trained

        return Trained(network, outputs)

    def start(self, network: "nn.Module", spec: ToySpec, teacher: TeacherSpec, weights: str | None) -> None:
        """It takes over nothing."""

    def check_shared(self, network: "nn.Module", spec: ToySpec, teacher: TeacherSpec, weights: str | None) -> None:
        """It shares nothing."""

    def adopt(self, tensors: Mapping[str, Any], network: "nn.Module", spec: ToySpec) -> Adopted:
        """Its own weights alone."""
        return Adopted(dict(tensors), "own", ())

    def batch(
        self, pixels: "Tensor | None", signals: Mapping[str, Any], truths: Mapping[str, Any], spec: ToySpec
    ) -> dict[str, Any]:
        """Pixels, and the teacher's words."""
        words = signals.get("words")
        return {"pixels": pixels, "words": None if words is None else words.values}

    def heads(self, network: Any, spec: ToySpec) -> Mapping[str, Head]:
        """What tasks may ask for."""
        return {"generate": Head(network.generate, "words, one after the other", signal=False)}

    def traced(self, network: Any, spec: ToySpec, head: str) -> "nn.Module":
        """A head as a module."""
        from kd_toy.network import Traced

        return Traced(network)

    def groups(self, network: Any, spec: ToySpec) -> Iterable[Group]:
        """All in one layer; vectors do not decay."""
        return [Group(name, each, 0, each.ndim > 1) for name, each in network.named_parameters()]
