"""Read fairseq's checkpoints of data2vec 2.0 image models: the student's tensors, and the shape of its network.

Input: a checkpoint. Output: tensors under our names, and their shape, which the checkpoint's configuration must not contradict.
The EMA copy and the decoder are dropped, as in fairseq's own fine-tuning.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from kdcache.errors import Mismatch, UsageError
from kdcache.networks.data2vec import EPS, Data2Vec
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.teachers.loading.networks import renamed
from kdcache.teachers.loading.weights import Checkpoint

MODALITY = "modality_encoders.IMAGE."
NAMES = (
    (f"{MODALITY}local_encoder.proj.", "encoder.patches."),
    (f"{MODALITY}fixed_positional_encoder.positions", "encoder.positions"),
    (f"{MODALITY}extra_tokens", "encoder.class_token"),
    (f"{MODALITY}context_encoder.norm.", "encoder.norm."),
    (f"{MODALITY}context_encoder.blocks.", "encoder.blocks."),
    ("fc_norm.", "classifier.0."),
    ("head.", "classifier.1."),
)
OURS = ("encoder.", "classifier.")
DROPPED = ("_ema.", f"{MODALITY}decoder.")
FAIRSEQ_NAMES = {
    "embed_dim": "dim", "num_heads": "heads", "depth": "depth", "average_top_k_layers": "targets",
    "prenet_depth": "prenet", "patch_size": "patch", "input_size": "image",
}  # fmt: skip
"""fairseq's names of the dimensions -> ours."""
FIXED = {
    "layer_norm_first": False, "end_of_block_targets": False, "use_alibi_encoder": False, "norm_eps": EPS, "mlp_ratio": 4,
    "num_extra_tokens": 1,
}  # fmt: skip
"""fairseq settings that all published image models share; models with other values are refused."""


def network_tensors(checkpoint: Checkpoint) -> dict[str, Any]:
    """The student's tensors, under our names, of a fairseq checkpoint or of one reduced to these tensors.

    A fine-tuned checkpoint includes its classifier.
    """
    bare = f"{MODALITY}extra_tokens" in checkpoint.tensors
    tensors = checkpoint.tensors if bare else checkpoint.tensors.get("model")
    if not isinstance(tensors, Mapping) or not all(isinstance(name, str) for name in tensors):
        raise UsageError(f"{checkpoint.record.source} is not a fairseq checkpoint: it has no `model` of named tensors")
    plain = renamed(tensors, lambda name: name.removeprefix("model."))
    if f"{MODALITY}extra_tokens" not in plain:
        raise UsageError(
            f"{checkpoint.record.source} is not a data2vec 2.0 image model",
            hint="data2vec 1.0 models of transformers are hf:NAME",
        )
    return renamed(plain, _our_name)


def fairseq_tensors(network: Data2Vec) -> dict[str, Tensor]:
    """The tensors of a network under fairseq's names, as `network_tensors` reads them."""
    return renamed(network.state_dict(), _their_name)


def _their_name(name: str) -> str:
    for theirs, ours in NAMES:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _our_name(name: str) -> str | None:
    if name == "_ema" or name.startswith(DROPPED):
        return None
    for theirs, ours in NAMES:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    # A foreign tensor whose name equals one of ours must not be taken for it.
    return f"{name} (not fairseq's)" if name.startswith(OURS) else name


def shape_of(checkpoint: Checkpoint, tensors: Mapping[str, Any], sizes: Mapping[str, Data2VecShape]) -> Data2VecShape:
    """The shape of the network, read from its tensors.

    The numbers of heads and targets do not follow from tensors: they come from the configuration, else from the published size.
    """
    source = checkpoint.record.source
    dim, _, patch, _ = _sides(tensors, "encoder.patches.weight", 4, source)
    _, places, _ = _sides(tensors, "encoder.positions", 3, source)
    seen = {"image": int(places**0.5) * patch, "patch": patch, "dim": dim, "prenet": 0, "depth": 0}
    for key, prefix in (("prenet", "encoder.blocks."), ("depth", "blocks.")):
        seen[key] = len({name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)})
    stated = _stated(checkpoint)
    wrong = [
        f"{key} {stated[key]}, but its tensors have {seen[key]}"
        for key in seen
        if stated.get(key, seen[key]) != seen[key]
    ]
    if wrong:
        raise Mismatch(f"the configuration in {source} has {'; '.join(wrong)}", hint="fetch the checkpoint again")
    known = next((size for size in sizes.values() if seen.items() <= size.plain().items()), None)
    numbers = {**(known.plain() if known else {}), **stated, **seen}
    if not numbers.keys() >= Data2VecShape.model_fields.keys():
        raise UsageError(f"{source} is not a published size ({seen}) and has no fairseq configuration")
    try:
        return Data2VecShape.from_plain(numbers)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Mismatch(f"{source} is not a data2vec 2.0 image model ({numbers}): {reason}") from error


def classes_of(checkpoint: Checkpoint, tensors: Mapping[str, Any]) -> int:
    """Number of classes of its classifier; 0 if it has none."""
    bias = "classifier.1.bias"
    return _sides(tensors, bias, 1, checkpoint.record.source)[0] if bias in tensors else 0


def _sides(tensors: Mapping[str, Any], name: str, count: int, source: str) -> tuple[int, ...]:
    found = tuple(getattr(tensors.get(name), "shape", ()))
    if len(found) != count:
        raise Mismatch(f"{source} has no {_their_name(name)} of {count} dimensions", hint="fetch the checkpoint again")
    return found


def _stated(checkpoint: Checkpoint) -> dict[str, Any]:
    """The dimensions in fairseq's configuration of the model, or of the pretrained model of a fine-tuned one."""
    source = checkpoint.record.source
    model = _part(_part(checkpoint.tensors, "cfg", source), "model", source)
    mode = str(model.get("prediction_mode", "MEAN_POOLING"))
    if not mode.endswith("MEAN_POOLING"):
        raise UsageError(f"{source} classifies by {mode}; only MEAN_POOLING is known")
    started = _part(model, "pretrained_model_args", source)
    settings = _part(started, "model", source) if started else model
    image = _part(_part(settings, "modalities", source), "image", source)
    every = {**image, **{name: value for name, value in settings.items() if value is not None}}
    for name, value in FIXED.items():
        if not _is_number(every.get(name, value)) or every.get(name, value) != value:
            raise Mismatch(f"{source} was trained with {name} {every[name]}; only {value} is known")
    stated = {ours: every[theirs] for theirs, ours in FAIRSEQ_NAMES.items() if every.get(theirs) is not None}
    for ours, value in stated.items():
        if not _is_number(value):
            raise Mismatch(
                f"the configuration in {source} gives a {type(value).__name__} for {ours}, which must be a number"
            )
    return stated


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _part(settings: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    """A section of a configuration; empty if it is missing."""
    part = settings.get(name)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise Mismatch(f"the configuration in {source} is not fairseq's: its `{name}` is a {type(part).__name__}")
    return part
