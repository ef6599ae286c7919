"""A digest of the settings of a network, because weights alone do not determine activation, heads or epsilon.

Input: a configuration in use (transformers' object, or one of our shapes). Output: a digest for the teacher's record. It covers
only settings that affect the network's results: no paths, versions or class names, and no values equal to their default.
"""

from collections.abc import Mapping
from typing import Any

from kdcache.base.digest import json_digest
from kdcache.base.strict import Strict
from kdcache.signals.teacher import Weights

SILENT = frozenset(
    {
        # origin, and the version that wrote it
        "_name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map",
        # how it is computed; the teacher's precision covers that
        "dtype", "torch_dtype", "_attn_implementation", "_attn_implementation_internal", "attn_implementation",
        # class names are in the spec, and their number is the shape of the logits
        "id2label", "label2id", "num_labels", "problem_type",
        # only for training or for callers
        "initializer_range", "initializer_factor", "use_cache", "return_dict", "output_attentions", "output_hidden_states",
        "tie_word_embeddings",
    }
)  # fmt: skip


def with_settings(weights: Weights, *configurations: Any) -> Weights:
    """The record of weights with a digest of the configurations added."""
    return weights.model_copy(update={"settings": settings_digest(*configurations)})


def settings_digest(*configurations: Any) -> str:
    """A digest of these configurations. Equal values give equal digests, whatever file they were read from."""
    return json_digest([_telling(configuration) for configuration in configurations])


def _telling(configuration: Any) -> dict[str, Any]:
    if isinstance(configuration, Strict):
        return configuration.plain()
    try:
        usual = type(configuration)().to_dict()
    except (TypeError, ValueError):  # a configuration composed of others has no defaults: use all its values
        usual = {}
    return _without(configuration.to_dict(), usual) | {"model_type": configuration.model_type}


def _without(settings: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without ignored ones and without default values, so that a setting added by a library changes no digest."""
    kept_settings = {}
    for name, value in settings.items():
        default = usual.get(name)
        if name in SILENT or (name in usual and value == default):
            continue
        kept_settings[name] = (
            _without(value, default if isinstance(default, Mapping) else {}) if _named(value) else value
        )
    return kept_settings


def _named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
