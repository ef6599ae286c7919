"""The smallest size of three teacher families, trained on the generated set `shapes` and shipped with the package.

Output: their architectures and their preprocessing. The declaration of each family has the path of its weights. They are laid out
like published checkpoints, so the same code loads them: `florence.safetensors` is the state dict of a timm DaViT with its head,
`clip/` is a folder as written by transformers' `CLIPModel.save_pretrained`, with a tokenizer, and `data2vec.safetensors` has the
tensor names of fairseq's data2vec 2.0 image models. `kd teacher train-nano FAMILY` makes them.
"""

import re
from typing import TYPE_CHECKING, Any

from kdcache.images.shapes import CLASSES
from kdcache.signals.teacher import Preprocess
from kdcache.views.recipe import Plain

if TYPE_CHECKING:
    from torch import nn

SIZE = 64
NANO_CLASSES = CLASSES
"""Class names in the order of the logits of florence and clip."""
IMAGENET_PIXELS = Preprocess(
    size=(SIZE, SIZE), geometry=Plain(fit="crop"), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
"""Preprocessing of florence-nano and data2vec-nano: normalised by ImageNet's mean and standard deviation."""
CLIP_PIXELS = Preprocess(
    size=(SIZE, SIZE),
    geometry=Plain(fit="crop"),
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
"""Preprocessing of clip-nano: normalised as in OpenAI's CLIP."""
NANO_DATA2VEC = {"image": SIZE, "patch": 8, "dim": 96, "heads": 3, "prenet": 2, "depth": 6, "targets": 6}
"""Shape of the data2vec-nano network."""
NANO_TEMPLATES = (
    "a picture of a {}.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a drawing of a {}.",
    "a {}.",
    "the {}.",
    "there is a {} in the picture.",
    "one large {} among small things.",
)
"""Prompt templates clip-nano was trained with; the prompts of a class are averaged."""
CONTEXT = 16
"""Length in tokens that captions are padded to."""
SPECIAL_TOKENS = ("<pad>", "<start>", "<unknown>", "<end>")


def nano_florence() -> "nn.Module":
    """A small DaViT built like Florence-2's towers, with a head for the classes of `shapes` and random weights."""
    from timm.models.davit import DaVit

    tower: nn.Module = DaVit(
        depths=(1, 1, 2, 1),
        embed_dims=(32, 64, 96, 128),
        num_heads=(2, 4, 6, 8),
        window_size=4,
        mlp_ratio=2.0,
        down_kernel_size=3,
        channel_attn_v2=True,
        named_blocks=True,
        num_classes=len(NANO_CLASSES),
    )
    return tower


FLORENCE_TOWERS = {"nano": nano_florence}
"""Sizes of florence in the package -> functions that build their towers."""


def nano_clip_config() -> dict[str, Any]:
    """Keyword arguments of transformers' `CLIPConfig`."""
    text = {
        "vocab_size": len(nano_vocabulary()),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT,
        "projection_dim": 64,
        "pad_token_id": SPECIAL_TOKENS.index("<pad>"),
        "bos_token_id": SPECIAL_TOKENS.index("<start>"),
        "eos_token_id": SPECIAL_TOKENS.index("<end>"),
    }
    vision = {
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 3,
        "image_size": SIZE,
        "patch_size": 8,
        "projection_dim": 64,
    }
    return {"text_config": text, "vision_config": vision, "projection_dim": 64}


def nano_vocabulary() -> tuple[str, ...]:
    """The vocabulary of clip-nano: the words of its templates and of the class names."""
    texts = [template.format(name) for template in NANO_TEMPLATES for name in NANO_CLASSES]
    words = {word for text in texts for word in re.findall(r"\w+|[^\w\s]+", text.lower())}
    return (*SPECIAL_TOKENS, *sorted(words))
