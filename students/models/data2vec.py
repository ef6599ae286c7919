"""Students of data2vec 2.0 image teachers (the family `data2vec`): see distilled.py for the network.

They share the teacher's modality encoder, so they begin with its weights; and they have no classifier.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdcache.errors import Mismatch, UsageError
from kdcache.spec import TeacherSpec
from students.models.family import Tensors
from students.models.spec import StudentSpec

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
        from kdcache.data2vec_net import Data2VecShape
        from students.models.distilled import Distilled

        assert spec.blocks is not None
        return Distilled(Data2VecShape.from_plain(spec.blocks.encoder), spec.blocks)

    def begin(self, network: "nn.Module", spec: StudentSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Take the encoder from the teacher's file, and its first blocks where the preset says so."""
        from kdcache.data2vec_net import Data2Vec
        from kdcache.teachers.reopen import reopen_network

        assert spec.blocks is not None
        own = reopen_network(teacher, weights=weights)
        if not isinstance(own, Data2Vec) or own.shape.plain() != spec.blocks.encoder:
            raise Mismatch(
                f"{spec.name} shares the encoder of a data2vec of {spec.blocks.encoder}, the teacher is "
                f"{teacher.family} {teacher.size}",
                hint="kd student list names the students and their teachers",
            )
        network.get_submodule("encoder").load_state_dict(own.encoder.state_dict())
        if spec.blocks.begin == "teacher":
            _copy_blocks(network, own, spec)

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


def _copy_blocks(network: Any, own: Any, spec: StudentSpec) -> None:
    try:
        for ours, theirs in zip(network.blocks, own.blocks, strict=False):
            ours.load_state_dict(theirs.state_dict())
    except RuntimeError as error:
        raise UsageError(
            f"the blocks of {spec.name} are not shaped like the teacher's, so they cannot begin as copies of them",
            hint="a student with as wide an FFN as the teacher, or `begin: random`",
        ) from error
