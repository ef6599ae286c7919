"""The family `data2vec`: students of data2vec 2.0 image teachers (network.py has the network).

They share the teacher's modality encoder, whose weights they start from, and have no classifier.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import TeacherSpec
from students.base.contracts import Adopted, Defaults, Group, Head, Needs, Request, Tensors
from students.families.data2vec.spec import BLOCKS, ENCODER, Data2VecPreset, Data2VecSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

INPUTS = "inputs"
"""Signal of a data2vec teacher: the output of its modality encoder. The student has the same encoder, so where this is
stored it need not compute it."""


class Data2VecStudent:
    """The family `data2vec`."""

    name = "data2vec"
    description = "a few blocks on the frozen encoder of a data2vec 2.0 teacher"
    preset = Data2VecPreset
    spec = Data2VecSpec
    defaults = Defaults(task="retrieve", teacher="data2vec", signals=(INPUTS, "targets"))
    classifier: str | None = None
    exports: Mapping[str, str] = {}

    def resolve(self, preset: Data2VecPreset, request: Request, before: Data2VecSpec | None) -> Data2VecSpec:
        """The student of a preset; its input has the size of its encoder's, and it has no classes."""
        name, side = request.name, request.size or preset.input
        if side != preset.input:
            raise UsageError(f"{name} only takes inputs of {preset.input} pixels: its positions are fixed")
        if drop_path := request.drop_path or preset.drop_path:
            raise UsageError(f"drop_path is {drop_path}, but {name} has no stochastic depth", hint="leave it at 0")
        if request.weights is not None:
            raise UsageError(
                f"{request.weights} is a weights file, which does not record the number of heads",
                hint="start from the folder of a run instead: --from RUN",
            )
        if preset.input != preset.blocks.encoder.image:
            raise UsageError(
                f"{name} has an input of {preset.input} pixels, but its encoder takes {preset.blocks.encoder.image}"
            )
        if before is not None:
            _check_blocks(before, preset, name)
        return Data2VecSpec(
            name=name,
            family=self.name,
            blocks=preset.blocks,
            input=(side, side),
            mean=preset.mean,
            std=preset.std,
            geometry=preset.geometry_for(request, side),
            classes=(),
        )

    def check_batch(self, spec: Data2VecSpec, batch: int, micro: int) -> None:
        """Accepts every batch: no norm uses statistics of a batch."""

    def needs(self, spec: Data2VecSpec) -> Needs:
        """A teacher, whose encoder is copied. If the cache stores the encoder's output, images are not rendered."""
        return Needs(optional=(INPUTS,), instead_of_pixels=(INPUTS,), teacher=True)

    def outputs(self, spec: Data2VecSpec) -> tuple[str, ...]:
        """`layers`: output of each block's FFN, a list of (batch, tokens, channels); `final`: tokens of the last block."""
        return "layers", "final", "embedding"

    def build(self, spec: Data2VecSpec) -> "nn.Module":
        """The network with random weights; `start` fills in the encoder's."""
        from students.families.data2vec.network import Distilled

        return Distilled(spec.blocks)

    def trained(self, network: "nn.Module", spec: Data2VecSpec, outputs: frozenset[str]) -> "nn.Module":
        """A module that gives the requested outputs from one forward pass."""
        from students.families.data2vec.network import Trained

        return Trained(network, outputs)

    def start(self, network: "nn.Module", spec: Data2VecSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Copy the encoder from the teacher's file, and its first blocks if the preset has `begin: teacher`."""
        shared = _shared(spec, teacher, weights, blocks=spec.blocks.begin == "teacher")
        network.get_submodule("encoder").load_state_dict(_below(ENCODER, shared))
        if any(name.startswith(BLOCKS) for name in shared):
            for number, block in enumerate(network.get_submodule("blocks").children()):
                block.load_state_dict(_below(f"{BLOCKS}{number}.", shared))

    def check_shared(self, network: "nn.Module", spec: Data2VecSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Raises Mismatch if a trained student has another encoder than this teacher."""
        own = network.get_submodule("encoder").state_dict()
        theirs = _below(ENCODER, _shared(spec, teacher, weights, blocks=False))
        if not all(tensor.equal(theirs[name]) for name, tensor in own.items()):
            raise Mismatch(
                f"the encoder of the {spec.name} it starts from is not that of this cache's teacher, "
                f"{teacher.family} {teacher.size} ({teacher.weights.source})",
                hint="start from a run that was trained with the same teacher, or without --from",
            )

    def adopt(self, tensors: Mapping[str, Any], network: "nn.Module", spec: Data2VecSpec) -> Adopted:
        """Returns the tensors unchanged: only weights of a run are accepted."""
        return Adopted(dict(tensors), "own", ())

    def batch(
        self, pixels: "Tensor | None", signals: Mapping[str, Any], truths: Mapping[str, Any], spec: Data2VecSpec
    ) -> dict[str, Any]:
        """The pixels, or instead of them the output of the shared encoder."""
        return {"seen": signals[INPUTS].float() if pixels is None else pixels}

    def heads(self, network: Any, spec: Data2VecSpec) -> Mapping[str, Head]:
        """`embedding`: one vector per image; `final`: its tokens."""

        def final(pixels: "Tensor") -> "Tensor":
            tokens: Tensor = network(pixels).final
            return tokens

        return {
            "embedding": Head(network.embed, "what it makes of an image before it names it"),
            "final": Head(final, "tokens of the last block, class token first"),
        }

    def traced(self, network: Any, spec: Data2VecSpec, head: str) -> "nn.Module":
        """One head of the network as a module."""
        from students.families.data2vec.network import Traced

        return Traced(network, head)

    def groups(self, network: Any, spec: Data2VecSpec) -> Iterable[Group]:
        """Every parameter of the blocks, with the block's number as its layer; the encoder is frozen."""
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                layer = int(name.split(".")[1]) if name.startswith(BLOCKS) else 0
                yield Group(name, parameter, layer, parameter.ndim > 1 and not name.endswith(".bias"))


def _check_blocks(before: Data2VecSpec, preset: Data2VecPreset, name: str) -> None:
    """Raises Mismatch if heads or ALiBi differ: the weights would fit the shapes, but compute something else."""
    for key in ("heads", "alibi"):
        was, now = getattr(before.blocks, key), getattr(preset.blocks, key)
        if was != now:
            raise Mismatch(
                f"the {before.name} it starts from has blocks with {key}: {was}, {name} has {key}: {now}",
                hint="give the preset of that run with --student, or start without --from",
            )


def _shared(spec: Data2VecSpec, teacher: TeacherSpec, weights: str | None, *, blocks: bool) -> Tensors:
    # Imported here, because the module also runs as a program, and Python warns if it is imported before it runs.
    from students.families.data2vec.shared_encoder import shared_tensors

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
