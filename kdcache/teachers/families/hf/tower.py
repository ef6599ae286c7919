"""`hf:NAME`: any image model of transformers as a teacher of logits, pooled embedding, tokens, or a named layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.base.tensors import refuse_broken, refuse_types, shortened
from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import Preprocess, Weights
from kdcache.teachers.frozen import Candidate, Output, from_map
from kdcache.teachers.heads.classifier import choose_classifier
from kdcache.teachers.loading.bounds import check_size
from kdcache.teachers.loading.layers import LayerTaps
from kdcache.teachers.loading.networks import seeded, state_record
from kdcache.teachers.loading.processor import from_processor, has_processor
from kdcache.teachers.loading.settings import with_settings
from kdcache.teachers.loading.weights import files_sha256, find_folder, nbytes_of, read_settings, weight_files
from kdcache.teachers.request import NORMALISATIONS, Request
from kdcache.views.recipe import Plain

CLASSIFYING = "ForImageClassification"
DEFAULT_SIZE = 224
DEFAULT_NOTE = " (random weights: default preprocessing)"


class HfTower:
    """A transformers image model as a teacher."""

    def __init__(self, network: Any, signals: tuple[str, ...], note: str = "") -> None:
        self.network: Any = network
        self._classifies = type(network).__name__.endswith(CLASSIFYING)
        self._base: Any = getattr(network, network.base_model_prefix, network) if self._classifies else network
        self._layers = LayerTaps(network, signals)
        self._classifier_input: Tensor | None = None
        self._base_output: Any = None
        has_classifier = self._classifies and isinstance(getattr(network, "classifier", None), nn.Module)
        if has_classifier:
            network.classifier.register_forward_pre_hook(self._catch_classifier_input)
        self._base.register_forward_hook(self._catch_base_output)
        taps = {
            **({"logits": "logits"} if self._classifies else {}),
            "embedding": "input of the classifier" if has_classifier else "pooler_output",
            "features": "last_hidden_state, tokens beyond the grid of patches dropped",
            **self._layers.taps,
        }
        self.taps = {name: tap + note for name, tap in taps.items()}

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """The wanted signals from one forward pass."""
        out = self.network(pixel_values=pixels)
        outputs = {name: Output(values) for name, values in self._layers.collect().items()}
        if "logits" in wanted:
            outputs["logits"] = Output(out.logits)
        if "embedding" in wanted:
            outputs["embedding"] = Output(self._pooled().flatten(1))
        if "features" in wanted:
            outputs["features"] = self._tokens(self._base_output.last_hidden_state, pixels)
        self._classifier_input = self._base_output = None  # frees the device's memory before the next batch
        return outputs

    def _pooled(self) -> Tensor:
        pooled = self._classifier_input
        if pooled is None:
            pooled = getattr(self._base_output, "pooler_output", None)
        if pooled is None:
            raise UsageError("this model has no pooled output", hint="request features, or a layer by its name")
        return pooled

    def _tokens(self, hidden: Tensor, pixels: Tensor) -> Output:
        if hidden.ndim == 4:
            return from_map(hidden)
        patch = getattr(self.network.config, "patch_size", None)
        if not isinstance(patch, int):
            return Output(hidden)
        grid = (pixels.shape[2] // patch, pixels.shape[3] // patch)
        extra = hidden.shape[1] - grid[0] * grid[1]
        return Output(hidden[:, extra:], grid) if extra >= 0 else Output(hidden)

    def _catch_classifier_input(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._classifier_input = inputs[0]

    def _catch_base_output(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        self._base_output = output


def open_hf(request: Request) -> Candidate:
    """Build the model, load its weights, and read its preprocessing from its own processor."""
    name = request.model
    assert name is not None
    if request.random:
        network, weights, folder = _random(name, request)
    else:
        folder, source = find_folder(request.weights, name)
        network, weights = _load(folder, source)
    preprocess, note = _preprocess(folder, network, request)
    tower = HfTower(network, request.signals, note)
    own_logits = "logits" in tower.taps and request.head is None
    classifier = None if own_logits else choose_classifier(request, weights=weights)
    classes = _class_names(network) if own_logits and not request.random else None
    weights = with_settings(weights, network.config)
    return Candidate(tower, Path(name).name if Path(name).is_dir() else name, weights, preprocess, classifier, classes)


def _load(folder: Path, source: str) -> tuple[Any, Weights]:
    """Load a model from its folder; an error if tensors are missing or left over."""
    import transformers

    config, files = _config(folder), weight_files(folder)
    maker = _maker(config)
    for file in files:
        refuse_types(file)
    build = maker.from_config if hasattr(maker, "from_config") else maker
    check_size(lambda: build(deepcopy(config)), nbytes_of(files), source=source)
    # Load as float32: with float16 from a config.json, transformers would round the stored weights.
    with _without_bar():
        network, report = maker.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
    _check_pixels(network, source)
    wrong: dict[str, Any] = {
        kind: sorted(map(str, report[f"{kind}_keys"])) for kind in ("missing", "unexpected", "mismatched")
    }
    if maker is transformers.AutoModel:
        wrong["unexpected"] = []  # heads that the bare model does not use
    listed = [f"{len(names)} {kind} ({shortened(names)})" for kind, names in wrong.items() if names]
    if listed:
        raise Mismatch(f"the tensors of {source} do not fit {type(network).__name__}: {'; '.join(listed)}", **wrong)
    network = network.float()
    refuse_broken(network, source=source)
    return network, Weights(source=source, sha256=files_sha256(files))


def _config(folder: Path) -> Any:
    """transformers' configuration; no code from the folder is ever run."""
    import transformers

    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(f"{folder} has no config.json", hint="--weights takes a folder that transformers wrote")
    kind = read_settings(path).get("model_type")
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        near = get_close_matches(str(kind), list(transformers.CONFIG_MAPPING), n=1)
        meant = f"did you mean {near[0]}?" if near else "models of timm are timm:NAME"
        raise Mismatch(f"{path}: transformers has no model of type {kind!r}", hint=meant)
    return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)


def _maker(config: Any) -> Any:
    """The classifier class that the configuration names, or AutoModel for models without a head."""
    import transformers

    architecture = next(iter(config.architectures or []), "")
    if isinstance(architecture, str) and architecture.endswith(CLASSIFYING) and hasattr(transformers, architecture):
        return getattr(transformers, architecture)
    return transformers.AutoModel


@contextmanager
def _without_bar() -> Iterator[None]:
    """Hide transformers' progress bar while loading, because the caller shows its own progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _random(name: str, request: Request) -> tuple[Any, Weights, Path | None]:
    """A model with random weights: NAME is a folder, a Hub repository or a type such as `vit`."""
    import transformers

    folder = None if name in transformers.CONFIG_MAPPING else find_folder(None, name)[0]
    config: Any = transformers.AutoConfig.for_model(name) if folder is None else _config(folder)
    classifies = "logits" in request.signals and request.head is None
    if classifies and request.classes:
        config.num_labels = len(request.classes)
    maker: Any = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
    try:
        with seeded() as stamp:
            network = maker.from_config(config)
    except ValueError as error:
        raise UsageError(f"transformers has no image classifier of type {config.model_type!r}") from error
    _check_pixels(network, name)
    network = network.float()
    return network, state_record(network, stamp), folder


def _check_pixels(network: Any, name: str) -> None:
    if network.main_input_name != "pixel_values":
        raise UsageError(
            f"{name} is a {type(network).__name__}, which reads {network.main_input_name}, not images alone",
            hint="for CLIP use --teacher clip --weights hub:NAME, for Florence-2 --teacher florence",
        )


def _preprocess(folder: Path | None, network: Any, request: Request) -> tuple[Preprocess, str]:
    """The processor's settings. Random weights without a processor get defaults, which the taps note."""
    if folder is not None and has_processor(folder):
        return request.prepared(lambda: from_processor(folder, request.name)), ""
    if not request.random:
        if request.planned is not None:
            return request.planned, ""
        raise UsageError(
            f"{request.name} does not specify its preprocessing",
            hint="put its preprocessor_config.json into the folder",
        )
    side = getattr(network.config, "image_size", DEFAULT_SIZE)
    size = (side, side) if isinstance(side, int) else (side[0], side[1])
    mean, std = NORMALISATIONS["imagenet"]
    usual = Preprocess(size=size, geometry=Plain(fit="crop"), mean=mean, std=std)
    return request.prepared(lambda: usual), DEFAULT_NOTE


def _class_names(network: Any) -> tuple[str, ...] | None:
    """Class names from id2label, unless they are only the placeholders LABEL_0, LABEL_1 …"""
    names = tuple(network.config.id2label[index] for index in range(network.config.num_labels))
    return None if names[:1] == ("LABEL_0",) else names
