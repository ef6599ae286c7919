"""A small CLIP, and what it says by a plain reading of the paper."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

WIDTH, LAYERS, PATCH, IMAGE, DIM, CONTEXT = 128, 2, 8, 32, 24, 12
WORDS = ["<pad>", "<start>", "<unknown>", "a", "photo", "of", "the", "cat", "dog", "red", "ring", ".", "<end>"]
SHAPE = {
    "image": IMAGE,
    "patch": PATCH,
    "width": WIDTH,
    "layers": LAYERS,
    "heads": 2,
    "dim": DIM,
    "activation": "quick_gelu",
    "text": {"context": CONTEXT, "vocabulary": len(WORDS), "width": 64, "layers": 2, "heads": 1},
}
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def block_tensors(prefix: str, width: int, make: Callable[..., torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors = {}
    for layer in range(LAYERS):
        place = f"{prefix}transformer.resblocks.{layer}."
        shapes = {
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "mlp.c_fc.weight": (4 * width, width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (width, 4 * width),
            "mlp.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
        }
        tensors |= {place + name: make(*shape) for name, shape in shapes.items()}
    return tensors


def small_clip() -> dict[str, torch.Tensor]:
    """A small CLIP under the names of OpenAI and open_clip."""
    generator = torch.Generator().manual_seed(3)

    def make(*shape: int) -> torch.Tensor:
        noise = 0.1 * torch.randn(shape, generator=generator)
        return 1 + noise if len(shape) == 1 else noise

    tensors = {
        "visual.class_embedding": make(WIDTH),
        "visual.positional_embedding": make((IMAGE // PATCH) ** 2 + 1, WIDTH),
        "visual.conv1.weight": make(WIDTH, 3, PATCH, PATCH),
        "visual.proj": make(WIDTH, DIM),
        "token_embedding.weight": make(len(WORDS), 64),
        "positional_embedding": make(CONTEXT, 64),
        "text_projection": make(64, DIM),
        "logit_scale": torch.tensor(2.5),
        **{f"visual.{norm}.{leaf}": make(WIDTH) for norm in ("ln_pre", "ln_post") for leaf in ("weight", "bias")},
        **{f"ln_final.{leaf}": make(64) for leaf in ("weight", "bias")},
    }
    return tensors | block_tensors("visual.", WIDTH, make) | block_tensors("", 64, make)


def normed(t: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], 1e-5)


def blocks(t: dict[str, torch.Tensor], prefix: str, x: torch.Tensor, heads: int, mask: Any, act: Any) -> torch.Tensor:
    """Pre-norm residual blocks, straight from the paper, attention written out."""
    count, width = x.shape[1:]
    for layer in range(LAYERS):
        place = f"{prefix}transformer.resblocks.{layer}."
        joint = F.linear(normed(t, place + "ln_1", x), t[place + "attn.in_proj_weight"], t[place + "attn.in_proj_bias"])
        q, k, v = (part.view(len(x), count, heads, -1).transpose(1, 2) for part in joint.split(width, dim=2))
        weights = q @ k.transpose(2, 3) / (width // heads) ** 0.5
        mixed = ((weights + mask if mask is not None else weights).softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        x = x + F.linear(mixed, t[place + "attn.out_proj.weight"], t[place + "attn.out_proj.bias"])
        hidden = act(F.linear(normed(t, place + "ln_2", x), t[place + "mlp.c_fc.weight"], t[place + "mlp.c_fc.bias"]))
        x = x + F.linear(hidden, t[place + "mlp.c_proj.weight"], t[place + "mlp.c_proj.bias"])
    return x


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


def image_tokens(t: dict[str, torch.Tensor], images: torch.Tensor, act: Any = quick_gelu) -> torch.Tensor:
    """All tokens, class token first, after the last norm and the projection."""
    x = F.conv2d(images, t["visual.conv1.weight"], stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([t["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1) + t["visual.positional_embedding"]
    x = blocks(t, "visual.", normed(t, "visual.ln_pre", x), WIDTH // 64, None, act)
    return normed(t, "visual.ln_post", x) @ t["visual.proj"]


def text_embedding(t: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """The token of the largest id, which is the end of the text."""
    x = t["token_embedding.weight"][ids] + t["positional_embedding"][: ids.shape[1]]
    mask = torch.full((ids.shape[1],) * 2, float("-inf")).triu(1)
    x = normed(t, "ln_final", blocks(t, "", x, 1, mask, quick_gelu))
    return x[torch.arange(len(ids)), ids.argmax(dim=1)] @ t["text_projection"]


def token_ids(text: str) -> torch.Tensor:
    words = ["<start>", *text.replace(".", " .").split(), "<end>"]
    return torch.tensor([[WORDS.index(word) for word in words]])


def write_tokenizer(folder: Path) -> None:
    """A word tokenizer with CLIP's frame, as a published folder has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<start>", WORDS.index("<start>")), ("<end>", WORDS.index("<end>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unknown>", pad_token="<pad>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(folder)


def write_settings(folder: Path) -> None:
    """What stands beside the weights in a folder as open_clip publishes it."""
    settings = {
        "model_cfg": {
            "embed_dim": DIM,
            "quick_gelu": True,
            "vision_cfg": {"image_size": IMAGE, "layers": LAYERS, "width": WIDTH, "patch_size": PATCH},
            "text_cfg": {"context_length": CONTEXT, "vocab_size": len(WORDS), "width": 64, "heads": 1, "layers": 2},
        },
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    write_tokenizer(folder)
