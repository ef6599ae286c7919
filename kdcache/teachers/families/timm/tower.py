"""`timm:NAME`: any image model of timm as a teacher of logits, pooled embedding, feature map, or a named layer."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from torch import Tensor, nn

from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.frozen import Candidate, Output, from_map
from kdcache.teachers.heads.classifier import choose_classifier
from kdcache.teachers.loading.layers import LayerTaps
from kdcache.teachers.loading.networks import load_strict, seeded, state_record
from kdcache.teachers.loading.weights import Checkpoint, find_checkpoint
from kdcache.teachers.request import Request
from kdcache.views.recipe import Interpolation

NEEDED = ("input_size", "interpolation", "mean", "std", "crop_pct")
KNOWN: dict[str, tuple[Any, ...]] = {
    "crop_mode": (None, "center", "squash"),
    "interpolation": get_args(Interpolation),
}
"""Preprocessing settings of timm that kd can reproduce."""


class TimmTower:
    """A timm model as a teacher."""

    def __init__(self, network: Any, signals: tuple[str, ...]) -> None:
        self.network: Any = network
        self._layers = LayerTaps(network, signals)
        self._prefix = int(getattr(network, "num_prefix_tokens", 0))
        dropped = f", {self._prefix} prefix tokens dropped" if self._prefix else ""
        self.taps = {
            **({"logits": "forward_head"} if network.num_classes else {}),
            "embedding": "forward_head before the classifier",
            "features": f"forward_features{dropped}",
            **self._layers.taps,
        }

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """The wanted signals; named layers need the complete forward pass."""
        features = self.network.forward_features(pixels)
        outputs: dict[str, Output] = {}
        if "features" in wanted:
            outputs["features"] = self._tokens(features, pixels)
        if "embedding" in wanted:
            outputs["embedding"] = Output(self.network.forward_head(features, pre_logits=True).flatten(1))
        if "logits" in wanted or self._layers.taps:
            outputs["logits"] = Output(self.network.forward_head(features))
        return outputs | {name: Output(values) for name, values in self._layers.collect().items()}

    def _tokens(self, features: Any, pixels: Tensor) -> Output:
        if not isinstance(features, Tensor) or features.ndim not in (3, 4):
            raise UsageError(
                "this model's forward_features returns no map of tokens", hint="request a layer by its name"
            )
        if features.ndim == 4:
            width, settings_given = self.network.num_features, getattr(self.network, "output_fmt", "NCHW")
            last = features.shape[-1] == width and (features.shape[1] != width or settings_given == "NHWC")
            return from_map(features.permute(0, 3, 1, 2) if last else features)
        tokens = features[:, self._prefix :]
        patch = getattr(getattr(self.network, "patch_embed", None), "patch_size", None)
        if patch is None:
            return Output(tokens)
        grid = (pixels.shape[2] // patch[0], pixels.shape[3] // patch[1])
        return Output(tokens, grid if grid[0] * grid[1] == tokens.shape[1] else None)


def open_timm(request: Request) -> Candidate:
    """Build the model, load its weights, and read its preprocessing from its own configuration."""
    name = request.model
    assert name is not None
    published = _published(name)
    if request.random:
        preprocess = request.prepared(lambda: _preprocess(published, name))
        # A model published without a classifier gets a random head, the same one however the class names were given.
        counted = bool(published.get("num_classes")) and request.classes is not None
        counted = counted and "logits" in request.signals and request.head is None
        options = {"num_classes": len(request.classes or ())} if counted else {}
        with seeded() as stamp:
            network = _create(name, preprocess, published, **options)
        weights, classes = state_record(network, stamp), None
    else:
        checkpoint = find_checkpoint(request.weights, published.get("hf_hub_id"), name=request.name)
        settings = checkpoint.settings("config.json") or {}
        settings_given = {**published, **settings.get("pretrained_cfg", {})}
        preprocess = request.prepared(lambda: _preprocess(settings_given, name))
        count = _class_count(settings_given, checkpoint)
        network, weights = _create(name, preprocess, settings_given, num_classes=count), checkpoint.record
        load_strict(network, checkpoint.tensors, source=weights.source, what=f"timm's {name}")
        classes = _class_names(network, settings) if weights.source.startswith("hub:") else None
    tower = TimmTower(network, request.signals)
    own_logits = "logits" in tower.taps and request.head is None
    classifier = None if own_logits else choose_classifier(request, weights=weights, dim=network.head_hidden_size)
    return Candidate(tower, name, weights, preprocess, classifier, classes)


def _published(name: str) -> dict[str, Any]:
    """timm's configuration of a model; the error for an unknown name suggests similar ones."""
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), n=3)
        raise UsageError(
            f"timm has no model {architecture!r}", hint=f"did you mean {', '.join(near)}?" if near else None
        )
    names = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in names:
        raise UsageError(f"timm's {architecture} has no weights {tag!r}", hint=f"it has {', '.join(names) or 'none'}")
    return dict(timm.get_pretrained_cfg(name).to_dict())


def _create(name: str, preprocess: Preprocess, settings_given: Mapping[str, Any], **options: Any) -> Any:
    import timm

    if settings_given.get("fixed_input_size") and preprocess.size != tuple(settings_given["input_size"][1:]):
        options["dynamic_img_size"] = True
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, **options)
    except TypeError as error:
        raise UsageError(f"timm's {name} sees {settings_given['input_size'][1:]} and nothing else") from error
    return network


def _preprocess(settings_given: Mapping[str, Any], name: str) -> Preprocess:
    """The preprocessing in a pretrained_cfg, as in timm's evaluation; an error if something is not specified."""
    missing = [key for key in NEEDED if settings_given.get(key) is None]
    wrong = [f"it lacks {', '.join(missing)}"] if missing else []
    wrong += [
        f"its {key} is {settings_given[key]!r}"
        for key, known in KNOWN.items()
        if key in settings_given and settings_given[key] not in known
    ]
    if wrong:
        raise _unclear(name, wrong[0])
    fit = "squash" if settings_given.get("crop_mode") == "squash" else "crop"
    cut = (
        "once" if fit == "squash" and settings_given["crop_pct"] == 1.0 else "round"
    )  # a squashed whole image is not cropped
    geometry = {
        "fit": fit,
        "crop_pct": settings_given["crop_pct"],
        "interpolation": settings_given["interpolation"],
        "cut": cut,
    }
    plain = {
        "size": list(settings_given["input_size"])[1:],
        "geometry": geometry,
        "mean": settings_given["mean"],
        "std": settings_given["std"],
    }
    try:
        return Preprocess.from_plain(plain)
    except ValidationError as error:
        wrong_key = ".".join(map(str, error.errors()[0]["loc"]))
        raise _unclear(name, f"its {wrong_key} is {error.errors()[0]['input']!r}") from error


def _unclear(name: str, reason: str) -> UsageError:
    return UsageError(
        f"timm's configuration of {name} does not specify the preprocessing: {reason}",
        hint="use a model with a preprocessing listed in docs/preprocessing.md",
    )


def _class_count(settings_given: Mapping[str, Any], checkpoint: Checkpoint) -> int:
    """Number of classes of the checkpoint's classifier; 0 if it has none."""
    names = settings_given.get("classifier") or ()
    first = names if isinstance(names, str) else next(iter(names), "")
    weight = checkpoint.tensors.get(f"{first}.weight")
    return 0 if weight is None else int(weight.shape[0])


def _class_names(network: Any, settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Class names published with the weights, or ImageNet's if the model is known to have those classes."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    if names := settings.get("label_names"):
        return tuple(names)
    subset = infer_imagenet_subset(network)
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(network.num_classes))
