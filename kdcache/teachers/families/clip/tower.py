"""CLIP image towers: pooled and patch embeddings in the space shared with text, zero-shot logits, fine-tuned heads."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.base.tensors import shortened
from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.families.clip import NANO_SIZE
from kdcache.teachers.families.clip.layouts import ClipParts, split_checkpoint
from kdcache.teachers.families.clip.shape import ClipShape
from kdcache.teachers.families.clip.tokens import Tokenizer
from kdcache.teachers.family import NANO
from kdcache.teachers.frozen import Candidate, Output, exact_kernels
from kdcache.teachers.heads.classifier import Classifier, choose_classifier
from kdcache.teachers.heads.zeroshot import zero_shot_head, zero_shot_record
from kdcache.teachers.loading.bounds import check_size
from kdcache.teachers.loading.networks import load_strict, seeded, state_record
from kdcache.teachers.loading.settings import with_settings
from kdcache.teachers.loading.sizes import CUSTOM, FamilyFacts, family_facts
from kdcache.teachers.loading.weights import find_checkpoint, find_packaged
from kdcache.teachers.nano import NANO_CLASSES, NANO_TEMPLATES
from kdcache.teachers.request import Request

DEFAULT_TEMPLATES = "openai"
HINTS = {
    "logits": "no text tower came with this checkpoint: fit a head with `kd teacher fit-head`, then pass --head FILE"
}
IDENTIFYING = (
    "image_size",
    "patch_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "projection_dim",
    "hidden_act",
)
"""Settings that identify a published size."""
VISION_NAMES = ("vision_model.", "visual_projection.")
TEXT_NAMES = ("text_model.", "text_projection.")


class ClipTower:
    """A CLIP image tower, which emits `embedding` and `features`."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        self.network = network
        config: Any = network.config
        self._grid = size[0] // config.patch_size, size[1] // config.patch_size
        self._stretched = size != (config.image_size, config.image_size)
        note = ", positions interpolated to the grid" if self._stretched else ""
        self.taps = {
            "embedding": f"class token after the last layer norm and the projection{note}",
            "features": f"patch tokens after the last layer norm and the projection, without the class token{note}",
        }

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """The projected class token and, if wanted, the projected patch tokens."""
        network: Any = self.network
        out = network(pixel_values=pixels, interpolate_pos_encoding=self._stretched)
        outputs = {"embedding": Output(out.image_embeds)}
        if "features" in wanted:  # last_hidden_state is taken before the last layer norm
            tokens = network.vision_model.post_layernorm(out.last_hidden_state[:, 1:])
            outputs["features"] = Output(network.visual_projection(tokens), self._grid)
        return outputs


def open_clip(request: Request) -> Candidate:
    """Load an image tower, and the head for its logits."""
    from transformers import CLIPVisionModelWithProjection

    parts, size, published, folder = _find(request)
    preprocess = request.prepared(published)
    if any(side % parts.vision.patch_size for side in preprocess.size):
        raise UsageError(f"clip cannot see {preprocess.size}: its patches are {parts.vision.patch_size} pixels wide")
    with seeded():
        network = CLIPVisionModelWithProjection(parts.vision)
    weights = parts.weights
    if request.random:
        weights = state_record(network, weights.source)
    else:
        load_strict(network, _side(parts, VISION_NAMES), source=weights.source, what=f"clip {size}")
    classifier = choose_classifier(request, dim=parts.vision.projection_dim, weights=weights, own=parts.head)
    if classifier is None and "logits" in request.signals and parts.text is not None:
        classifier = _zero_shot(request, parts, size, folder)
    if not weights.source.startswith("package:"):  # settings of weights in the package are fixed by the program
        weights = with_settings(weights, parts.vision)
    return Candidate(ClipTower(network, preprocess.size), size, weights, preprocess, classifier, hints=HINTS)


def _find(request: Request) -> tuple[ClipParts, str, Callable[[], Preprocess], Path | None]:
    """Returns the parts, the name of the size, the published preprocessing and the folder with the tokenizer."""
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    facts = family_facts("clip")
    if request.size == NANO:
        checkpoint = find_packaged(request.weights, lambda: NANO_SIZE.weights().parent, source="package:clip-nano")
        return split_checkpoint(checkpoint, None), NANO, NANO_SIZE.pixels, checkpoint.folder
    by_file = request.weights is not None and not request.random
    name = request.size or (None if by_file else facts.default)
    named = facts.size(name, "clip") if name not in (None, CUSTOM) else None
    shape = ClipShape.from_plain(named.architecture) if named else None
    if request.random:
        if shape is None or named is None or name is None:
            raise UsageError("random weights need the name of a published size")
        with seeded() as stamp:
            parts = ClipParts({}, shape.vision_config(), shape.text_config(), state_record(nn.Module(), stamp))
        usual = named.preprocess
        return parts, name, lambda: usual, None
    if named and named.url and request.weights is None:
        raise Unavailable(f"clip {name} is not on the Hub", hint=f"pass --weights FILE; it is published as {named.url}")
    checkpoint = find_checkpoint(request.weights, named.hub if named else None, name=request.name)
    parts = split_checkpoint(checkpoint, shape)
    for tower, config in ((CLIPVisionModelWithProjection, parts.vision), (CLIPTextModelWithProjection, parts.text)):
        if shape is None and config is not None:  # published shapes are known, and compared below
            check_size(partial(tower, config), checkpoint.nbytes, source=checkpoint.record.source)
    _check_names(parts)
    found = _size_of(facts, parts)
    if name not in (None, found):
        raise Mismatch(f"--size is {name}, but the checkpoint is clip {found}")
    return parts, found, partial(_preprocess, facts, found, parts), checkpoint.folder


def _size_of(facts: FamilyFacts, parts: ClipParts) -> str:
    """Name of the published size of a checkpoint; `custom` if it is none of them."""
    for name, size in facts.sizes.items():
        shape = ClipShape.from_plain(size.architecture)
        config = shape.vision_config()
        with_head = (
            shape.text is None
        )  # of two published sizes with the same shape, the one without text tower has a head
        if with_head == (parts.head is not None) and all(
            getattr(config, k) == getattr(parts.vision, k) for k in IDENTIFYING
        ):
            return name
    return CUSTOM


def _preprocess(facts: FamilyFacts, size: str, parts: ClipParts) -> Preprocess:
    """The preprocessing that the checkpoint specifies, else the one published for its size."""
    if parts.preprocess is not None:
        return parts.preprocess()
    if size in facts.sizes:
        usual = facts.sizes[size].preprocess
        cut = "round" if parts.authors else usual.geometry.cut
        return usual.model_copy(update={"geometry": usual.geometry.model_copy(update={"cut": cut})})
    if parts.head is not None:  # TinyViT's layout: use its evaluation transform at the tower's size
        side = parts.vision.image_size
        return facts.sizes["l14-22k"].preprocess.model_copy(update={"size": (side, side)})
    raise UsageError(
        f"{parts.weights.source} does not specify its preprocessing",
        hint="put its preprocessor_config.json into the folder",
    )


def _zero_shot(request: Request, parts: ClipParts, size: str, folder: Path | None) -> Classifier:
    """A head made from class names by the text tower, which is dropped afterwards."""
    from transformers import CLIPTextModelWithProjection

    classes = request.class_names or (NANO_CLASSES if size == NANO else None)
    if classes is None:
        raise UsageError(
            "zero-shot logits need class names", hint="pass --classes FILE (a name a line), or images in class folders"
        )
    label, templates = _templates(request, size)
    text = CLIPTextModelWithProjection(parts.text)
    load_strict(text, _side(parts, TEXT_NAMES), source=parts.weights.source, what=f"the text tower of clip {size}")
    tokenizer = Tokenizer(folder, parts.text)
    tokenizer.check_known(classes)
    device = torch.device(request.device)
    scale = float(parts.tensors["logit_scale"].float().exp())
    with exact_kernels():
        encode = text.eval().to(device)
        head = zero_shot_head(encode, tokenizer, classes=classes, templates=templates, scale=scale, device=device)
    record = zero_shot_record(label, classes=classes, templates=templates, weights=parts.weights)
    if not parts.weights.source.startswith("package:"):
        record = with_settings(record, parts.text)
    return Classifier(head, f"logit_scale x cosine to {len(templates)} prompts a class ({label})", record)


def _templates(request: Request, size: str) -> tuple[str, Sequence[str]]:
    """A label of the prompt templates for the plan, and the templates."""
    known = dict(family_facts("clip").templates) | {NANO: NANO_TEMPLATES}
    wish = request.templates
    if wish is None:
        wish = NANO if size == NANO else DEFAULT_TEMPLATES
    if not isinstance(wish, str):
        return "own templates", wish
    if wish not in known:
        raise UsageError(f"no prompt templates called {wish!r}", hint=f"known: {', '.join(known)}")
    return wish, known[wish]


def _check_names(parts: ClipParts) -> None:
    """Mismatch if a checkpoint contains tensors that would be ignored."""
    strange = sorted(name for name in parts.tensors if not name.startswith((*VISION_NAMES, *TEXT_NAMES, "logit_scale")))
    if strange:
        raise Mismatch(
            f"{parts.weights.source} has tensors that CLIP does not have: {shortened(strange)}", names=strange
        )


def _side(parts: ClipParts, prefixes: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in parts.tensors.items() if name.startswith(prefixes)}
