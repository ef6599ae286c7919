"""data2vec 2.0 image teachers and their signals; checkpoint.py reads fairseq's files."""

import torch
from torch import Tensor

from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.networks.data2vec import Data2Vec, targets
from kdcache.networks.data2vec_shape import Data2VecShape
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.families.data2vec import NANO_SIZE
from kdcache.teachers.families.data2vec.checkpoint import classes_of, network_tensors, shape_of
from kdcache.teachers.family import NANO
from kdcache.teachers.frozen import Candidate, Output
from kdcache.teachers.heads.classifier import choose_classifier
from kdcache.teachers.loading.networks import load_strict, seeded, state_record
from kdcache.teachers.loading.settings import with_settings
from kdcache.teachers.loading.sizes import CUSTOM, FamilyFacts, Size, family_facts
from kdcache.teachers.loading.weights import Checkpoint, find_checkpoint, find_packaged
from kdcache.teachers.nano import NANO_DATA2VEC
from kdcache.teachers.request import Request

HINTS = {"logits": "pass a fine-tuned checkpoint, or fit a head with `kd teacher fit-head` and pass --head FILE"}
CUT_FROM_MORE = 224
"""Largest input size for which fairseq crops the input from a larger image."""


class Data2VecTower:
    """A data2vec 2.0 encoder as a teacher."""

    def __init__(self, network: Data2Vec, shape: Data2VecShape) -> None:
        self.network = network
        self._shape = shape
        top = f"FFN outputs of the last {shape.targets} of {shape.depth} shared blocks"
        recipe = "instance norm over tokens, mean over layers, layer norm"
        self.taps = {
            "inputs": f"modality encoder with its {shape.prenet} blocks, class token first",
            "final": "last block, class token first",
            "features": "last block, patch tokens only",
            "targets": f"{top}, class token included: {recipe}",
            "targets-patches": f"{top}, patch tokens only, as data2vec 2.0 was trained: {recipe}",
            "cls-layers": f"class token of the FFN output of each of {shape.depth} shared blocks, first block first",
            "embedding": "mean of all tokens of the last block, class token included",
        }
        if network.classifier is not None:
            self.taps["logits"] = "the fine-tuned checkpoint's own classifier on the mean of the patch tokens"

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """All signals from one forward pass."""
        inputs, layers, final = self.network(pixels)
        grid = (self._shape.side, self._shape.side)
        outputs = {
            "inputs": Output(inputs),
            "final": Output(final),
            "features": Output(final[:, 1:], grid),
            "cls-layers": Output(torch.stack([layer[:, 0] for layer in layers], dim=1)),
            "embedding": Output(final.float().mean(1)),
        }
        if self.network.classifier is not None:
            outputs["logits"] = Output(self.network.classifier(final[:, 1:].mean(1)))
        if "targets" in wanted:
            outputs["targets"] = Output(targets(layers, self._shape.targets))
        if "targets-patches" in wanted:
            outputs["targets-patches"] = Output(targets([layer[:, 1:] for layer in layers], self._shape.targets), grid)
        return outputs


def open_data2vec(request: Request) -> Candidate:
    """Load a teacher. Input sizes other than the trained one are refused, because the positions are fixed."""
    facts = data2vec_facts()
    name = request.size or facts.default
    if request.random:
        shape = Data2VecShape.from_plain(facts.size(name, "data2vec").architecture)
        with seeded() as stamp:
            network = Data2Vec(shape)
        weights = state_record(network, stamp)
    else:
        checkpoint = _checkpoint(request, name)
        tensors = network_tensors(checkpoint)
        sizes = {known: Data2VecShape.from_plain(size.architecture) for known, size in facts.sizes.items()}
        shape = shape_of(checkpoint, tensors, sizes)
        name = next((known for known, size in sizes.items() if size == shape), CUSTOM)
        if request.size not in (None, name):
            raise Mismatch(f"--size is {request.size}, but the checkpoint is data2vec {name} ({shape})")
        network, weights = Data2Vec(shape, classes_of(checkpoint, tensors)), checkpoint.record
        load_strict(network, tensors, source=weights.source, what=f"data2vec {name}")
    published = facts.sizes.get(name, facts.sizes[facts.default])
    trained = prepared_for(published.preprocess, shape.image)
    preprocess = request.prepared(lambda: trained)
    if preprocess.size != trained.size:
        raise UsageError(f"data2vec {name} sees {shape.image}x{shape.image} and nothing else: its positions are fixed")
    tower = Data2VecTower(network, shape)
    classifier = choose_classifier(request, dim=shape.dim, weights=weights)
    return Candidate(tower, name, with_settings(weights, shape), preprocess, classifier, hints=HINTS)


def prepared_for(usual: Preprocess, side: int) -> Preprocess:
    """fairseq's evaluation: inputs up to 224 pixels are cropped from a larger image (256 for 224), larger inputs are not."""
    geometry = usual.geometry.model_copy(update={"crop_pct": 1.0}) if side > CUT_FROM_MORE else usual.geometry
    return usual.model_copy(update={"size": (side, side), "geometry": geometry})


def data2vec_facts() -> FamilyFacts:
    """The published sizes and the one in the package."""
    facts = family_facts("data2vec")
    nano = Size(preprocess=NANO_SIZE.pixels(), architecture=NANO_DATA2VEC)
    return facts.model_copy(update={"sizes": {**facts.sizes, NANO: nano}})


def _checkpoint(request: Request, name: str) -> Checkpoint:
    """Find a checkpoint: nano is in the package; the published ones must be given, because kd cannot fetch them."""
    if name == NANO:
        return find_packaged(request.weights, NANO_SIZE.weights, source="package:data2vec-nano")
    if request.weights is None:
        hint = f"download {data2vec_facts().size(name, 'data2vec').url} and pass it with --weights, or use --size nano"
        raise Unavailable(f"data2vec {name} is not on the Hub", hint=hint)
    return find_checkpoint(request.weights, None, name=request.name)
