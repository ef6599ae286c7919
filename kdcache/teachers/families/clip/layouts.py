"""Convert CLIP checkpoints of all known layouts to the tensor names and configurations of transformers' CLIP.

It reads transformers' folders (`CLIPModel`, `CLIPVisionModelWithProjection`), open_clip's and OpenAI's tensor names, and
TinyViT's public ImageNet-22k teacher (OpenAI's image tower and a linear head under the key `model`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess, Weights
from kdcache.teachers.families.clip.shape import ClipShape, TextShape
from kdcache.teachers.heads.heads import Head
from kdcache.teachers.loading.networks import renamed
from kdcache.teachers.loading.processor import from_processor, has_processor, three
from kdcache.teachers.loading.processor_geometry import Unknown
from kdcache.teachers.loading.weights import Checkpoint
from kdcache.teachers.request import NORMALISATIONS
from kdcache.views.recipe import Plain

HEAD_WIDTH = 64
"""Width of an attention head in all of OpenAI's towers."""
# Scalars that OpenAI's checkpoints contain in addition to the weights.
SCALARS = ("input_resolution", "context_length", "vocab_size")
LEAF_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}
TRANSPOSED = ("visual.proj", "text_projection")
PIXELS: dict[str, dict[str, Any]] = {
    "mode": {"RGB": None},
    "resize_mode": {"shortest": Plain(fit="crop", cut="round"), "squash": Plain(fit="squash")},
    "interpolation": {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"},
}
"""Supported settings of open_clip's preprocess_cfg; its evaluation treats `random` as bicubic."""
SEE = "use a model with one of the settings in docs/preprocessing.md"


@dataclass(frozen=True)
class ClipParts:
    """The parts of a CLIP checkpoint."""

    tensors: Mapping[str, Any]
    """Tensors under the names transformers uses."""
    vision: Any
    """Settings of the image tower, as in CLIPVisionConfig."""
    text: Any
    """Settings of the text tower, as in CLIPTextConfig, or None."""
    weights: Weights
    head: Head | None = None
    preprocess: Callable[[], Preprocess] | None = None
    """Returns the preprocessing that the checkpoint itself specifies; None if it specifies none."""
    authors: bool = False
    """Whether the checkpoint has the layout of OpenAI or open_clip, whose code prepares images with
    torchvision.
    """


def split_checkpoint(checkpoint: Checkpoint, named: ClipShape | None) -> ClipParts:
    """Recognise the layout and split the checkpoint. `named`: the published size that the user named, if any."""
    tensors = _unwrapped(checkpoint.tensors)
    if "visual.conv1.weight" in tensors:
        return _from_openai_names(checkpoint, tensors, named)
    if "vision_model.embeddings.patch_embedding.weight" in tensors and "visual_projection.weight" in tensors:
        return _from_transformers(checkpoint, tensors, named)
    raise UsageError(
        f"no CLIP image tower with its projection in {checkpoint.record.source}",
        hint="known layouts: transformers' CLIPModel, open_clip and OpenAI ViTs, TinyViT's 22k teacher; timm's are timm:NAME",
    )


def openai_to_transformers(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the tensors of open_clip and OpenAI ViTs; projections are transposed, attention inputs split in three."""
    result: dict[str, Any] = {}
    for name, value in tensors.items():
        block = re.fullmatch(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)", name)
        joint = re.fullmatch(r"(visual\.)?transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", name)
        if joint:
            place = f"{_tower(joint[1])}.encoder.layers.{joint[2]}.self_attn"
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                result[f"{place}.{letter}_proj.{joint[3]}"] = third
        elif block and block[3] in LEAF_NAMES:
            result[f"{_tower(block[1])}.encoder.layers.{block[2]}.{LEAF_NAMES[block[3]]}.{block[4]}"] = value
        elif name not in SCALARS:
            result[NAMES.get(name, name)] = value.T if name in TRANSPOSED else value
    return result


def _tower(visual: str | None) -> str:
    return "vision_model" if visual else "text_model"


def _unwrapped(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors without the name prefixes that trainers and open_clip's custom-text models add."""
    for key in ("state_dict", "model"):
        if isinstance(tensors.get(key), Mapping):
            tensors = tensors[key]
    return renamed(tensors, lambda name: name.removeprefix("module.").removeprefix("text."))


def _from_openai_names(checkpoint: Checkpoint, tensors: dict[str, Any], named: ClipShape | None) -> ClipParts:
    settings = checkpoint.settings("open_clip_config.json")
    head, preprocess = None, None
    if settings is not None:
        shape = _from_open_clip_settings(settings)
        preprocess = partial(_open_clip_pixels, settings.get("preprocess_cfg") or {}, shape.image)
    elif "head.weight" in tensors:
        head = Head(tensors.pop("head.weight").float(), tensors.pop("head.bias").float())
        shape = _openai_vision_shape(tensors)
    elif named is not None:
        shape = named
    else:
        raise UsageError(
            f"{checkpoint.record.source} does not specify its activation function and number of heads",
            hint="give its size with --size, or pass the folder that has its open_clip_config.json",
        )
    parts = openai_to_transformers(tensors)
    vision, text = shape.vision_config(), shape.text_config()
    return ClipParts(parts, vision, text, checkpoint.record, head, preprocess, authors=True)


def _from_transformers(checkpoint: Checkpoint, tensors: dict[str, Any], named: ClipShape | None) -> ClipParts:
    from transformers import CLIPConfig, CLIPVisionConfig

    settings = checkpoint.settings("config.json")
    if settings is None and named is None:
        raise UsageError(
            f"{checkpoint.record.source} does not specify its activation function and number of heads",
            hint="give its size with --size, or pass the folder that has its config.json",
        )
    if settings is None:
        assert named is not None
        return ClipParts(tensors, named.vision_config(), named.text_config(), checkpoint.record)
    whole = settings.get("model_type") == "clip"
    config = CLIPConfig.from_dict(settings) if whole else None
    vision = config.vision_config if config else CLIPVisionConfig.from_dict(settings)
    text = config.text_config if config else None
    for side in (vision, text):
        if side is not None:  # the number of the whole model takes precedence; towers saved alone have it too
            side.projection_dim = tensors["visual_projection.weight"].shape[0]
    folder = checkpoint.folder
    own = partial(from_processor, folder, checkpoint.record.source) if folder and has_processor(folder) else None
    return ClipParts(tensors, vision, text, checkpoint.record, preprocess=own)


def _openai_vision_shape(tensors: Mapping[str, Any]) -> ClipShape:
    """The shape of an image tower by OpenAI's rules: heads of width 64, QuickGELU, a square grid."""
    width, _, patch, _ = tensors["visual.conv1.weight"].shape
    grid = int((tensors["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    layers = len({name.split(".")[3] for name in tensors if name.startswith("visual.transformer.resblocks.")})
    return ClipShape(
        image=grid * patch,
        patch=patch,
        width=width,
        layers=layers,
        heads=width // HEAD_WIDTH,
        dim=tensors["visual.proj"].shape[1],
        activation="quick_gelu",
        text=None,
    )


def _from_open_clip_settings(settings: Mapping[str, Any]) -> ClipShape:
    model = settings["model_cfg"]
    vision, text = model["vision_cfg"], model["text_cfg"]
    if "timm_model_name" in vision or "hf_model_name" in text or isinstance(vision["layers"], list):
        raise UsageError(
            "only ViTs with CLIP's own text tower are known among open_clip's models", hint="try timm:NAME"
        )
    return ClipShape(
        image=vision["image_size"],
        patch=vision["patch_size"],
        width=vision["width"],
        layers=vision["layers"],
        heads=vision["width"] // vision.get("head_width", HEAD_WIDTH),
        dim=model["embed_dim"],
        activation="quick_gelu" if model.get("quick_gelu") else "gelu",
        text=TextShape(
            context=text["context_length"],
            vocabulary=text["vocab_size"],
            width=text["width"],
            layers=text["layers"],
            heads=text["heads"],
        ),
    )


def _open_clip_pixels(pixels: Any, side: int) -> Preprocess:
    """The preprocessing of open_clip's evaluation: torchvision's resize of the shorter side and centre crop, or a squash."""
    given = {key: value for key, value in pixels.items() if value is not None} if isinstance(pixels, Mapping) else {}
    mean, std = NORMALISATIONS["clip"]  # open_clip's defaults
    sizes = (side, [side, side])
    try:
        if not isinstance(pixels, Mapping):
            raise Unknown(f"it is {pixels!r}")
        for key, value in given.items():
            if key not in ("mean", "std", "fill_color") and value not in tuple(PIXELS.get(key, sizes)):
                raise Unknown(f"{key} is {value!r}")
        mean = three(given, "mean") if "mean" in given else mean
        std = three(given, "std") if "std" in given else std
    except Unknown as unknown:
        raise UsageError(f"unsupported preprocess_cfg of open_clip: {unknown}", hint=SEE) from None
    geometry = PIXELS["resize_mode"][given.get("resize_mode", "shortest")]
    interpolation = PIXELS["interpolation"][given.get("interpolation", "bicubic")]
    geometry = geometry.model_copy(update={"interpolation": interpolation})
    return Preprocess(size=(side, side), geometry=geometry, mean=mean, std=std)
