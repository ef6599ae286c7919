"""A TinyViT of a few thousand parameters under a name timm knows, so that runs with all their checkpoints stay small."""

from typing import Any

import timm
from timm.models import register_model

NAME = "tiny_vit_golden"


def tiny_vit_golden(pretrained: bool = False, **settings: Any) -> Any:
    widths = {"embed_dims": (8, 8, 8, 8), "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}
    return timm.create_model("tiny_vit_5m_224", pretrained=pretrained, **widths, **settings)


if not timm.is_model(NAME):
    register_model(tiny_vit_golden)
