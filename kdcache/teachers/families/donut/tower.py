"""Donut's Swin encoder as a teacher: feature map, per-stage features, pooled embedding.

It reads transformers' layout (a whole `VisionEncoderDecoderModel` or only a `DonutSwinModel`) and the authors' own, which wraps a
timm Swin. There are two ways to prepare a page, which give different features: that of transformers' processor (0.5 for mean and
std), and that of the authors' code (ImageNet's mean and std, and another thumbnail). The teacher's spec records which is used.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from kdcache.base.strict import Strict
from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.frozen import Candidate, Output
from kdcache.teachers.heads.classifier import choose_classifier
from kdcache.teachers.loading.bounds import check_size
from kdcache.teachers.loading.networks import load_strict, renamed, seeded, state_record
from kdcache.teachers.loading.processor import from_processor, has_processor
from kdcache.teachers.loading.settings import with_settings
from kdcache.teachers.loading.sizes import CUSTOM, FamilyFacts, Size, family_facts
from kdcache.teachers.loading.weights import Checkpoint, find_checkpoint
from kdcache.teachers.request import NORMALISATIONS, Request
from kdcache.views.recipe import Plain, Shrink

HINTS = {"logits": "an encoder has no classes: fit a head with `kd teacher fit-head`, then pass --head FILE"}
SIGNALS = ("features", "embedding", "stage1", "stage2", "stage3", "stage4")
IDENTIFYING = ("depths", "embed_dim", "num_heads", "window_size", "patch_size")
"""Settings that identify a published size."""
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
    """The dimensions of a published encoder."""

    depths: tuple[int, ...]
    width: int
    heads: tuple[int, ...]
    window: int
    patch: int

    def config(self) -> Any:
        """The configuration for transformers; the input size is set when the network is built."""
        from transformers import DonutSwinConfig

        return DonutSwinConfig(
            patch_size=self.patch,
            embed_dim=self.width,
            depths=list(self.depths),
            num_heads=list(self.heads),
            window_size=self.window,
        )


class DonutTower:
    """A Donut encoder as a teacher."""

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = network
        config: Any = network.config
        stages = range(1, len(config.depths) + 1)
        self.taps = {
            "features": "output of the last stage, without a final norm",
            "embedding": "mean of the last stage's tokens",
            **{f"stage{i}": f"output of stage {i}, after its downsampling if it has one" for i in stages},
        }

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """The wanted signals from one forward pass. Maps of early stages are large, so they are kept only if wanted."""
        deep = any(name.startswith("stage") for name in wanted)
        out = self.network(pixels, output_hidden_states=deep)
        tokens, stride = out.last_hidden_state, stride_of(self.network.config)
        grid = (pixels.shape[2] // stride, pixels.shape[3] // stride)
        outputs = {"features": Output(tokens, grid), "embedding": Output(tokens.float().mean(1))}
        if deep:
            maps = zip(out.hidden_states[1:], out.reshaped_hidden_states[1:], strict=True)
            outputs |= {f"stage{i}": Output(t, (m.shape[2], m.shape[3])) for i, (t, m) in enumerate(maps, start=1)}
        return outputs


def open_donut(request: Request) -> Candidate:
    """Load an encoder, and the head that was requested."""
    facts = family_facts("donut")
    if request.head is None and not request.random:
        request.check_signals(SIGNALS, HINTS)
    name = request.size or facts.default
    published = facts.size(name, "donut") if name != CUSTOM else None
    if request.random:
        if published is None:
            raise UsageError("random weights need the name of a published size")
        usual, config = published.preprocess, _shape(published).config()
        preprocess = request.prepared(lambda: usual)
        with seeded() as stamp:
            network = build(config, preprocess.size)
        weights = state_record(network, stamp)
    else:
        checkpoint = find_checkpoint(request.weights, published.hub if published else None, name=request.name)
        name, config, own = _recognised(facts, request, checkpoint)
        preprocess = request.prepared(own)
        if name == CUSTOM:
            check_size(lambda: build(config, preprocess.size), checkpoint.nbytes, source=checkpoint.record.source)
        network, weights = build(config, preprocess.size), checkpoint.record
        load_strict(network, encoder_tensors(checkpoint.tensors), source=weights.source, what=f"donut {name}")
    classifier = choose_classifier(request, dim=config.embed_dim << (len(config.depths) - 1), weights=weights)
    tower = DonutTower(network)
    return Candidate(tower, name, with_settings(weights, config), preprocess, classifier, hints=HINTS)


def build(config: Any, size: tuple[int, int]) -> nn.Module:
    """Build transformers' encoder for an input size."""
    from transformers import DonutSwinModel

    stride = stride_of(config)
    if size[0] % stride or size[1] % stride:
        raise UsageError(
            f"donut cannot see {size[0]}x{size[1]}: both sides must be multiples of {stride}",
            hint="published sizes are 2560x1920 and 1280x960",
        )
    config.image_size = list(size)
    network: nn.Module = DonutSwinModel(config)
    return network


def stride_of(config: Any) -> int:
    """Side length in pixels that one token of the last stage covers."""
    return int(config.patch_size << (len(config.depths) - 1))


def encoder_tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder's tensors, from any of the three layouts, under the names of transformers' DonutSwinModel."""
    if any(name.startswith(AUTHORS) for name in tensors):
        native = {n.removeprefix(AUTHORS): t for n, t in tensors.items() if n.startswith(AUTHORS)}
        return authors_to_transformers(native)
    if any(name.startswith("encoder.embeddings.") for name in tensors):
        return {n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")}
    return dict(tensors)


def authors_to_transformers(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Rename timm's Swin tensors to transformers' names, split joint attention inputs in three, drop the unused final norm."""
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


def _recognised(
    facts: FamilyFacts, request: Request, checkpoint: Checkpoint
) -> tuple[str, Any, Callable[[], Preprocess]]:
    """Size, configuration and preprocessing of the checkpoint, or those of the named size if the checkpoint has none."""
    name = request.size or facts.default
    settings = checkpoint.settings("config.json")
    if settings is None:
        size = facts.size(name, "donut")
        return name, _shape(size).config(), lambda: _by_layout(size.preprocess, checkpoint, {})
    config, canvas = _from_settings(settings)
    if name != CUSTOM and not _same(_shape(facts.size(name, "donut")).config(), config):
        if request.size is not None:
            raise Mismatch(f"--size is {name}, but the checkpoint's config.json has {config.depths} blocks")
        name = CUSTOM
    if checkpoint.folder is not None and has_processor(checkpoint.folder):
        return name, config, partial(from_processor, checkpoint.folder, checkpoint.record.source)
    usual = facts.sizes[facts.default].preprocess.model_copy(update={"size": canvas})
    return name, config, lambda: _by_layout(usual, checkpoint, settings)


def _shape(size: Size) -> SwinShape:
    return SwinShape.from_plain(size.architecture)


def _same(one: Any, other: Any) -> bool:
    ours, theirs = one.to_dict(), other.to_dict()
    return all(np.array_equal(ours[key], theirs[key]) for key in IDENTIFYING)


def _from_settings(settings: Mapping[str, Any]) -> tuple[Any, tuple[int, int]]:
    """The configuration for transformers and the input size, from a config.json of the authors or of transformers."""
    from transformers import DonutSwinConfig

    if "encoder_layer" in settings:
        base = _shape(family_facts("donut").sizes["base"])
        given = {"depths": tuple(settings["encoder_layer"]), "window": settings["window_size"]}
        height, width = settings["input_size"]
        return base.model_copy(update=given).config(), (height, width)
    encoder = settings.get("encoder", settings)
    if encoder.get("model_type") != "donut-swin":
        raise UsageError(f"the encoder is a {encoder.get('model_type')}, not a donut-swin", hint="try hf:NAME")
    config = DonutSwinConfig.from_dict(encoder)
    size = config.image_size
    return config, (size, size) if isinstance(size, int) else (size[0], size[1])


def _by_layout(preprocess: Preprocess, checkpoint: Checkpoint, settings: Mapping[str, Any]) -> Preprocess:
    """The preprocessing of the authors' code if the checkpoint has the authors' layout, else unchanged."""
    if not any(name.startswith(AUTHORS) for name in checkpoint.tensors):
        return preprocess
    mean, std = NORMALISATIONS["imagenet"]
    geometry = Plain(
        fit="pad",
        interpolation="bilinear",
        turn=bool(settings.get("align_long_axis", False)),
        shrink=Shrink(interpolation="bicubic", sides="nearest", gap=2.0),  # Pillow's thumbnail() with its defaults
    )
    return Preprocess(size=preprocess.size, geometry=geometry, mean=mean, std=std)
