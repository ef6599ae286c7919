"""Donut's Swin encoder: feature map, per-stage features, pooled embedding.

Read: transformers' layout (a whole `VisionEncoderDecoderModel` or a `DonutSwinModel` alone) and the authors' own, which wraps a
timm Swin. Two normalisations are in use, and they give different features: 0.5 (transformers' processor, published with the
checkpoints there) and ImageNet's (the authors' code). Which one was used is in the spec's preprocessing.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from kdcache.errors import Mismatch, UsageError
from kdcache.spec import Preprocess
from kdcache.strict import Strict
from kdcache.teachers.classifier import choose_classifier
from kdcache.teachers.frozen import Candidate, Said, from_map
from kdcache.teachers.networks import load_strict, renamed, seeded, state_record
from kdcache.teachers.processor import from_processor, processor_settings
from kdcache.teachers.request import NORMALISATIONS, Request
from kdcache.teachers.sizes import CUSTOM, Family, family_facts
from kdcache.teachers.weights import Checkpoint, find_checkpoint

HINTS = {"logits": "an encoder has no classes: fit a head with `kd teacher fit-head`, then pass --head FILE"}
SIGNALS = ("features", "embedding", "stage1", "stage2", "stage3", "stage4")
AUTHORS = "encoder.model."
# Inside a block: timm's names -> transformers'.
BLOCK_NAMES = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


class SwinShape(Strict):
    """The numbers of a Donut encoder."""

    depths: tuple[int, ...]
    width: int
    heads: tuple[int, ...]
    window: int
    patch: int

    @property
    def stride(self) -> int:
        """Pixels under one token of the last stage."""
        return self.patch << (len(self.depths) - 1)

    @property
    def dim(self) -> int:
        """Numbers in one token of the last stage."""
        return self.width << (len(self.depths) - 1)

    def build(self, size: tuple[int, int]) -> nn.Module:
        """transformers' encoder for an input size."""
        from transformers import DonutSwinConfig, DonutSwinModel

        config = DonutSwinConfig(
            image_size=list(size),
            patch_size=self.patch,
            embed_dim=self.width,
            depths=list(self.depths),
            num_heads=list(self.heads),
            window_size=self.window,
        )
        model: nn.Module = DonutSwinModel(config)
        return model


class DonutTower:
    """A Donut encoder and its taps."""

    def __init__(self, network: nn.Module, stages: int) -> None:
        self.network = network
        self._stages = stages
        self.taps = {
            "features": "output of the last stage, without a final norm",
            "embedding": "mean of the last stage's tokens",
            **{f"stage{i}": f"output of stage {i}, after its downsampling if it has one" for i in range(1, stages + 1)},
        }

    def speak(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Said]:
        """All signals from one pass."""
        network: Any = self.network
        out = network(pixels, output_hidden_states=True)
        maps = [from_map(stage) for stage in out.reshaped_hidden_states[1:]]
        said = {f"stage{i}": stage for i, stage in enumerate(maps, start=1)}
        return said | {"features": maps[-1], "embedding": Said(maps[-1].values.float().mean(1))}


def open_donut(request: Request) -> Candidate:
    """Load an encoder, and the head that was asked for."""
    facts = family_facts("donut")
    if request.head is None and not request.random:
        request.check_signals(SIGNALS, HINTS)
    name = request.size or facts.default
    published = facts.size(name, "donut") if name != CUSTOM else None
    if request.random:
        assert published is not None
        preprocess, shape = request.adjusted(published.preprocess), SwinShape.from_plain(published.architecture)
        with seeded() as stamp:
            network = shape.build(_checked(preprocess.size, shape))
        weights = state_record(network, stamp)
    else:
        checkpoint = find_checkpoint(request.weights, published.hub if published else None, name=request.name)
        name, shape, own = _recognised(facts, request, checkpoint)
        preprocess = request.adjusted(own)
        network, weights = shape.build(_checked(preprocess.size, shape)), checkpoint.record
        load_strict(network, encoder_tensors(checkpoint.tensors), source=weights.source, what=f"donut {name}")
    classifier = choose_classifier(request, dim=shape.dim, weights=weights)
    return Candidate(DonutTower(network, len(shape.depths)), name, weights, preprocess, classifier)


def encoder_tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's tensors under the names of transformers' DonutSwinModel, from any of the three layouts."""
    if any(name.startswith(AUTHORS) for name in tensors):
        native = {n.removeprefix(AUTHORS): t for n, t in tensors.items() if n.startswith(AUTHORS)}
        return authors_to_transformers(native)
    if any(name.startswith("encoder.embeddings.") for name in tensors):
        return {n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")}
    return dict(tensors)


def authors_to_transformers(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """timm's Swin names -> transformers'; the joint attention input is split in three, the final norm is never run."""
    result: dict[str, Any] = {}
    for name, value in tensors.items():
        if found := re.fullmatch(r"(layers\.\d+\.blocks\.\d+)\.attn\.qkv\.(weight|bias)", name):
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                result[f"encoder.{found[1]}.attention.self.{part}.{found[2]}"] = third
        elif found := re.fullmatch(r"(layers\.\d+\.blocks\.\d+)\.([\w.]+)\.(weight|bias)", name):
            result[f"encoder.{found[1]}.{BLOCK_NAMES.get(found[2], found[2])}.{found[3]}"] = value
        elif name.startswith("layers."):
            result["encoder." + name.replace(".attn.", ".attention.self.")] = value
        else:
            result[name] = value
    return renamed(result, _outer_name)


def _outer_name(name: str) -> str | None:
    if name.startswith("norm."):
        return None
    renames = (
        ("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
        ("patch_embed.norm.", "embeddings.norm."),
    )
    for theirs, ours in renames:
        name = name.replace(theirs, ours)
    return name


def _recognised(facts: Family, request: Request, checkpoint: Checkpoint) -> tuple[str, SwinShape, Preprocess]:
    """Size, shape and preprocessing, from the checkpoint's configuration where it has one, else from the size named."""
    name = request.size or facts.default
    settings = checkpoint.settings("config.json")
    if settings is None:
        size = facts.size(name, "donut")
        return name, SwinShape.from_plain(size.architecture), _normalised(size.preprocess, checkpoint)
    shape, canvas = _from_settings(settings)
    if name != CUSTOM and SwinShape.from_plain(facts.size(name, "donut").architecture) != shape:
        if request.size is not None:
            raise Mismatch(f"--size says {name}, the checkpoint's config.json says {shape.plain()}")
        name = CUSTOM
    processor = processor_settings(checkpoint.folder) if checkpoint.folder else None
    if processor is not None:
        return name, shape, from_processor(processor, checkpoint.record.source)
    preprocess = facts.sizes[facts.default].preprocess.model_copy(update={"size": canvas})
    return name, shape, _normalised(preprocess, checkpoint)


def _from_settings(settings: Mapping[str, Any]) -> tuple[SwinShape, tuple[int, int]]:
    """Shape and input size from a config.json: the authors' or transformers'."""
    if "encoder_layer" in settings:
        base = SwinShape.from_plain(family_facts("donut").sizes["base"].architecture)
        update = {"depths": tuple(settings["encoder_layer"]), "window": settings["window_size"]}
        height, width = settings["input_size"]
        return base.model_copy(update=update), (height, width)
    encoder = settings.get("encoder", settings)
    if encoder.get("model_type") != "donut-swin":
        raise UsageError(f"the encoder is a {encoder.get('model_type')}, not a donut-swin", hint="try hf:NAME")
    shape = SwinShape(
        depths=tuple(encoder["depths"]),
        width=encoder["embed_dim"],
        heads=tuple(encoder["num_heads"]),
        window=encoder["window_size"],
        patch=encoder["patch_size"],
    )
    size = encoder["image_size"]
    return shape, (size, size) if isinstance(size, int) else (size[0], size[1])


def _normalised(preprocess: Preprocess, checkpoint: Checkpoint) -> Preprocess:
    """Checkpoints in the authors' layout are normalised as the authors do."""
    if not any(name.startswith(AUTHORS) for name in checkpoint.tensors):
        return preprocess
    mean, std = NORMALISATIONS["imagenet"]
    return preprocess.model_copy(update={"mean": mean, "std": std})


def _checked(size: tuple[int, int], shape: SwinShape) -> tuple[int, int]:
    if size[0] % shape.stride or size[1] % shape.stride:
        raise UsageError(
            f"donut cannot see {size[0]}x{size[1]}: both sides must be multiples of {shape.stride}",
            hint="published sizes are 2560x1920 and 1280x960",
        )
    return size
