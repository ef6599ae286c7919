"""Zero-shot classifiers: compute the weights of a head from class names and prompt templates.

For each class, all prompts are encoded and scaled to length one; their mean is scaled to length one again. The logits are
logit_scale times the cosine between image and class.
"""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kdcache.errors import UsageError
from kdcache.signals.teacher import Weights
from kdcache.teachers.heads.heads import Head

BATCH = 256
Tokenize = Callable[[list[str]], dict[str, Tensor]]


def zero_shot_head(
    encode: Any,
    tokenize: Tokenize,
    *,
    classes: Sequence[str],
    templates: Sequence[str],
    scale: float,
    device: torch.device,
) -> Head:
    """Make the head. `encode`: transformers' CLIPTextModelWithProjection on `device`; it runs in float32."""
    check_templates(templates)
    prompts = [template.format(name) for name in classes for template in templates]
    rows = []
    with torch.inference_mode():
        for start in range(0, len(prompts), BATCH):
            tokens = {key: ids.to(device) for key, ids in tokenize(prompts[start : start + BATCH]).items()}
            rows.append(F.normalize(encode(**tokens).text_embeds.float(), dim=-1))
    by_class = torch.cat(rows).view(len(classes), len(templates), -1)
    weight = scale * F.normalize(by_class.mean(dim=1), dim=-1)
    return Head(weight.clone(), torch.zeros(len(classes), device=device), norm="l2", classes=tuple(classes))


def check_templates(templates: Sequence[str]) -> None:
    """UsageError unless every template has exactly one `{}` for the class name."""
    for template in templates:
        if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
            raise UsageError(f"the prompt template {template!r} needs exactly one {{}}")
    if not templates:
        raise UsageError("zero-shot logits need at least one prompt template")


def zero_shot_record(label: str, *, classes: Sequence[str], templates: Sequence[str], weights: Weights) -> Weights:
    """The identity of a zero-shot head: a digest of its class names, templates and weights, not of computed numbers."""
    words = json.dumps([list(classes), list(templates), weights.sha256], ensure_ascii=True)
    return Weights(source=f"zero-shot:{label}", sha256=sha256(words.encode()).hexdigest())
