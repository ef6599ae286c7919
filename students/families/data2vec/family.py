"""Students of data2vec 2.0 image teachers (the family `data2vec`): see distilled.py for the network.

They share the teacher's modality encoder, so they begin with its weights; and they have no classifier.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdcache.errors import Mismatch
from kdcache.signals.teacher import TeacherSpec
from students.families.data2vec.shared_encoder import BLOCKS, ENCODER, shared_tensors
from students.families.family import Tensors
from students.families.spec import StudentSpec

if TYPE_CHECKING:
    from torch import Tensor, nn


class Data2VecStudent:
    """The family `data2vec`."""

    head: str | None = None

    def windows(self, size: int) -> tuple[int, ...]:
        """It has none."""
        return ()

    def build(self, spec: StudentSpec) -> "nn.Module":
        """Random weights; the encoder's are filled by `begin`."""
        from students.families.data2vec.network import Distilled

        if spec.blocks is None or spec.input != (spec.blocks.encoder.image,) * 2 or spec.classes:
            raise Mismatch(
                f"{spec.name} is no student of data2vec: its blocks, input and classes do not belong together",
                hint="take one of configs/students, or a run that kd wrote",
            )
        return Distilled(spec.blocks)

    def begin(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Take the encoder from the teacher's file, and its first blocks where the preset says so."""
        shared = _shared(spec, teacher, weights, blocks=spec.blocks is not None and spec.blocks.begin == "teacher")
        network.get_submodule("encoder").load_state_dict(_below(ENCODER, shared))
        if any(name.startswith(BLOCKS) for name in shared):
            for number, block in enumerate(network.get_submodule("blocks").children()):
                block.load_state_dict(_below(f"{BLOCKS}{number}.", shared))

    def check_shared(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Mismatch when a student that has learnt already has another encoder than this teacher."""
        own = network.get_submodule("encoder").state_dict()
        theirs = _below(ENCODER, _shared(spec, teacher, weights, blocks=False))
        if not all(tensor.equal(theirs[name]) for name, tensor in own.items()):
            raise Mismatch(
                f"the encoder of the {spec.name} it begins with is not that of the teacher of this cache, "
                f"{teacher.family} {teacher.size} ({teacher.weights.source})",
                hint="begin with a run that was taught by the same teacher, or without --from",
            )

    def embed(self, network: Any, pixels: "Tensor") -> "Tensor":
        """The mean of all final tokens."""
        embedded: Tensor = network.embed(pixels)
        return embedded

    def own_names(self, tensors: Mapping[str, Any]) -> tuple[Tensors, str]:
        """Only a run's own weights are known."""
        return dict(tensors), "own"

    def fitted(self, tensors: Tensors, network: "nn.Module") -> tuple[Tensors, tuple[str, ...]]:
        """Nothing depends on the input's size."""
        return tensors, ()

    def layers(self, network: Any) -> int:
        """One for each block."""
        return len(network.blocks)

    def layer(self, name: str, network: "nn.Module") -> int:
        """The block a parameter belongs to; the encoder lies below the first."""
        return int(name.split(".")[1]) if name.startswith("blocks.") else 0


def _shared(spec: StudentSpec, teacher: TeacherSpec, weights: str | None, *, blocks: bool) -> Tensors:
    assert spec.blocks is not None
    theirs = teacher.preprocess
    if (spec.mean, spec.std) != (theirs.mean, theirs.std):
        raise Mismatch(
            f"{spec.name} normalises pixels by mean {spec.mean} and std {spec.std}, the teacher whose encoder it shares by "
            f"{theirs.mean} and {theirs.std}",
            hint=f"mean: {list(theirs.mean)} and std: {list(theirs.std)} in the student's preset",
        )
    return shared_tensors(teacher, weights, encoder=spec.blocks.encoder.plain(), student=spec.name, blocks=blocks)


def _below(prefix: str, tensors: Mapping[str, Any]) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


FAMILY = Data2VecStudent()
