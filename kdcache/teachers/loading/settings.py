"""Which settings a network was made with: weights alone do not say their activation, heads or epsilon.

Input: a configuration as it took effect (transformers' object, or one of our shapes). Output: a digest for the teacher's record,
in which only what a network computes from counts: no paths, versions, names of classes, and nothing that equals its default.
"""

from collections.abc import Mapping
from typing import Any

from kdcache.base.digest import json_digest
from kdcache.base.strict import Strict
from kdcache.signals.teacher import Weights

SILENT = frozenset(
    {
        # where it came from, and with what it was written
        "_name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map",
        # how it is computed, which the teacher's precision says
        "dtype", "torch_dtype", "_attn_implementation", "_attn_implementation_internal", "attn_implementation",
        # names of classes are in the spec; their number is the shape of the logits
        "id2label", "label2id", "num_labels", "problem_type",
        # for training, or for callers
        "initializer_range", "initializer_factor", "use_cache", "return_dict", "output_attentions", "output_hidden_states",
        "tie_word_embeddings",
    }
)  # fmt: skip


def with_settings(weights: Weights, *configurations: Any) -> Weights:
    """The record of the weights, with the configurations they ran under."""
    return weights.model_copy(update={"settings": settings_digest(*configurations)})


def settings_digest(*configurations: Any) -> str:
    """One digest of all that these configurations determine. The same values give it, whatever file they were read from."""
    return json_digest([_telling(configuration) for configuration in configurations])


def _telling(configuration: Any) -> dict[str, Any]:
    if isinstance(configuration, Strict):
        return configuration.plain()
    try:
        usual = type(configuration)().to_dict()
    except (TypeError, ValueError):  # a configuration made of others has no defaults: then all of it counts
        usual = {}
    return _without(configuration.to_dict(), usual) | {"model_type": configuration.model_type}


def _without(settings: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, but for silent ones and those that are as usual: a library may add one without making strangers."""
    told = {}
    for name, value in settings.items():
        default = usual.get(name)
        if name in SILENT or (name in usual and value == default):
            continue
        told[name] = _without(value, default if isinstance(default, Mapping) else {}) if _named(value) else value
    return told


def _named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
