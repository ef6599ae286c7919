"""Reads the tensors that a data2vec student shares with its teacher, in a separate process so that no teacher stays in memory.

Input: the teacher of a cache, and the location of its file. Output: the tensors of its encoder, and of its blocks if
requested.
"""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kdcache.base.own_process import Ended, run_module, serve
from kdcache.errors import KDError, Mismatch
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.signals.teacher import TeacherSpec
from students.families.data2vec.spec import BLOCKS, ENCODER

if TYPE_CHECKING:
    from torch import Tensor


def shared_tensors(
    teacher: TeacherSpec, weights: str | None, *, encoder: dict[str, int], student: str, blocks: bool
) -> "dict[str, Tensor]":
    """The shared tensors under the student's names; `encoder`: shape of the student's encoder."""
    from safetensors.torch import load_file

    with TemporaryDirectory(prefix="kd-encoder-") as folder:
        file = Path(folder) / "shared.safetensors"
        request = {"teacher": teacher.plain(), "weights": weights, "encoder": encoder, "student": student}
        try:
            run_module(__name__, {**request, "blocks": blocks, "file": str(file)})
        except Ended as end:
            last = (end.stderr.strip().splitlines() or [str(end)])[-1]
            raise KDError(f"the encoder of {teacher.family} {teacher.size} could not be read: {last}") from end
        tensors: dict[str, Tensor] = load_file(file)
        return tensors


def _write(request: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    from kdcache.networks.data2vec import Data2Vec
    from kdcache.teachers.reopen import reopen_network

    teacher = TeacherSpec.from_plain(request["teacher"])
    own = reopen_network(teacher, weights=request["weights"])
    if not isinstance(own, Data2Vec) or own.shape.plain() != request["encoder"]:
        raise Mismatch(
            f"{request['student']} shares the encoder of {_called(request['encoder'])}, the teacher of this cache is "
            f"{teacher.family} {teacher.size}",
            hint=_fitting(own.shape) if isinstance(own, Data2Vec) else "kd cache build --teacher data2vec",
        )
    kept = (ENCODER, BLOCKS) if request["blocks"] else (ENCODER,)
    tensors = {name: tensor.contiguous() for name, tensor in own.state_dict().items() if name.startswith(kept)}
    save_file(tensors, request["file"])


def _called(numbers: dict[str, int]) -> str:
    """Name of a published size, or the numbers of another network."""
    from kdcache.teachers.families.data2vec.tower import data2vec_facts

    named = [name for name, size in data2vec_facts().sizes.items() if size.architecture == numbers]
    return f"data2vec {named[0]}" if named else f"a data2vec of {numbers}"


def _fitting(shape: Data2VecShape) -> str:
    """Hint: the student presets with this encoder."""
    from students.families.data2vec.spec import Data2VecPreset
    from students.families.preset import Preset
    from students.families.registry import student_names, student_preset

    presets = dict[str, Preset]()
    for name in student_names():
        with suppress(KDError):  # a preset of another package that cannot be used
            presets[name] = student_preset(name)
    fitting = [name for name, its in presets.items() if isinstance(its, Data2VecPreset) and its.blocks.encoder == shape]
    own = f"a preset of your own with `encoder: {shape.plain()}`"
    return f"--student {' or '.join(fitting)}" if fitting else f"--student FILE, {own}"


if __name__ == "__main__":
    serve(_write)
