"""Florence-2's DaViT image towers as teachers: feature map, pooled embedding, and logits with a head.

Florence-2 was trained to generate text: it has neither classes nor a contrastive text encoder, so logits need a head that was
fitted on labelled images (`kd teacher fit-head`) or a fine-tuned one. It reads three layouts of the tower: timm's, that of
transformers, and that of the microsoft/* checkpoints.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from torch import Tensor, nn

from kdcache.base.strict import Strict
from kdcache.errors import Mismatch, UsageError
from kdcache.teachers.families.florence import FAMILY
from kdcache.teachers.family import Packaged
from kdcache.teachers.frozen import Candidate, Output, from_map
from kdcache.teachers.heads.classifier import choose_classifier
from kdcache.teachers.heads.heads import Head
from kdcache.teachers.loading.networks import load_strict, renamed, seeded, state_record
from kdcache.teachers.loading.processor import from_folder
from kdcache.teachers.loading.settings import with_settings
from kdcache.teachers.loading.sizes import CUSTOM, FamilyFacts, family_facts
from kdcache.teachers.loading.weights import Checkpoint, find_checkpoint, find_packaged
from kdcache.teachers.nano import FLORENCE_TOWERS, NANO_CLASSES
from kdcache.teachers.request import Request

STRIDE = 32
SMALLEST_WINDOW = 6
HINTS = {
    "logits": "use --size nano (it knows the classes of `shapes`), or --signal embedding, or fit a head on labelled "
    "images: `kd teacher fit-head`, then --head FILE"
}
PREFIXES = ("model.vision_tower.", "vision_tower.", "")
# Inside a block: names of transformers and microsoft/* -> timm's names.
INNER_NAMES = (
    (r"^conv([12])\.(fn\.dw\.)?", r"cpe\1.proj."),
    (r"^(window|channel)_attn\.norm\.", "norm1."),
    (r"^(window|channel)_attn\.(fn\.)?", "attn."),
    (r"^ffn\.norm\.", "norm2."),
    (r"^ffn\.(fn\.net\.)?", "mlp."),
)


class DavitShape(Strict):
    """The dimensions of a DaViT tower."""

    depths: tuple[int, ...]
    dims: tuple[int, ...]
    heads: tuple[int, ...]
    window: int

    def build(self) -> nn.Module:
        """Build the tower without timm's pooling and norm, which Florence-2's checkpoints do not have."""
        from timm.models.davit import DaVit

        network: Any = DaVit(
            depths=self.depths,
            embed_dims=self.dims,
            num_heads=self.heads,
            window_size=self.window,
            down_kernel_size=3,
            channel_attn_v2=True,
            named_blocks=True,
            num_classes=0,
        )
        network.head = nn.Identity()
        tower: nn.Module = network
        return tower

    def windowed(self, size: tuple[int, int]) -> Self:
        """The shape with the attention window that an input size needs."""
        return self.model_copy(update={"window": window_for(size, self.window)})


class FlorenceTower:
    """A DaViT tower, which emits `embedding` and `features`."""

    def __init__(self, network: nn.Module, window: int) -> None:
        self.network = network
        self.taps = {
            "features": f"feature map of the last stage, attention windows of {window}",
            "embedding": f"mean of the last stage's feature map, attention windows of {window}",
        }

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """Both signals from one forward pass."""
        network: Any = self.network
        feature_map: Tensor = network.forward_features(pixels)
        return {"features": from_map(feature_map), "embedding": Output(feature_map.float().mean((2, 3)))}


def open_florence(request: Request) -> Candidate:
    """Load a tower and the head that was requested."""
    if (packaged := FAMILY.find_packaged(request.size)) is not None:
        return _open_packaged(request, packaged)
    facts = family_facts("florence")
    if request.weights is None and request.head is None:
        request.check_signals(("features", "embedding"), HINTS)
    if request.random:
        name = request.size or facts.default
        size = facts.size(name, "florence")
        preprocess = request.prepared(lambda: size.preprocess)
        shape = DavitShape.from_plain(size.architecture).windowed(preprocess.size)
        with seeded() as stamp:
            network = shape.build()
        weights, own = state_record(network, stamp), None
    else:
        published = facts.size(request.size or facts.default, "florence") if request.size != CUSTOM else None
        checkpoint = find_checkpoint(request.weights, published.hub if published else None, name=request.name)
        tensors, own = timm_tensors(checkpoint)
        weights = checkpoint.record
        name, shape = _recognised(facts, request, tensors, checkpoint.settings("config.json"))
        usual = facts.sizes.get(name, facts.sizes[facts.default]).preprocess
        preprocess = request.prepared(lambda: from_folder(checkpoint.folder, weights.source) or usual)
        shape = shape.windowed(preprocess.size)
        network = shape.build()
        load_strict(network, tensors, source=weights.source, what=f"florence {name}")
    classifier = choose_classifier(request, dim=shape.dims[-1], weights=weights, own=own)
    weights = with_settings(weights, shape)
    return Candidate(FlorenceTower(network, shape.window), name, weights, preprocess, classifier, hints=HINTS)


def timm_tensors(checkpoint: Checkpoint) -> tuple[dict[str, Any], Head | None]:
    """The tower's tensors, from any of the three layouts, under timm's names; and a fine-tuned head if there is one."""
    tensors = checkpoint.tensors
    if "stem.conv.weight" in tensors:
        tower = {name: value for name, value in tensors.items() if not name.startswith("head.")}
        return tower, _own_head(tensors) if "head.fc.weight" in tensors else None
    for prefix in PREFIXES:
        if any(name.startswith(f"{prefix}convs.0.") for name in tensors):
            tower = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            return renamed(tower, timm_name), None
    raise UsageError(
        f"no DaViT tower in {checkpoint.record.source}",
        hint="known layouts: timm's davit_*_fl, transformers' Florence2, microsoft/Florence-2-*",
    )


def timm_name(name: str) -> str:
    """Convert a tensor's name in a Florence-2 checkpoint to timm's."""
    if found := re.fullmatch(r"convs\.(\d+)\.(conv|proj|norm)\.(\w+)", name):
        stage, part, leaf = found.groups()
        place = "stem" if stage == "0" else f"stages.{stage}.downsample"
        return f"{place}.{'norm' if part == 'norm' else 'conv'}.{leaf}"
    if found := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(spatial_block|channel_block)\.(.+)", name):
        stage, block, kind, inner = found.groups()
        for pattern, replacement in INNER_NAMES:
            inner, changed = re.subn(pattern, replacement, inner)
            if changed:
                break
        return f"stages.{stage}.blocks.{block}.{kind}.{inner}"
    return name


def window_for(size: tuple[int, int], largest: int) -> int:
    """The attention window for an input size: it must divide the grid of the last stage, and so divides all other grids.

    768 keeps the window of 12; 256 has a last grid of 8 and gets a window of 8.
    """
    if size[0] % STRIDE == 0 and size[1] % STRIDE == 0:
        for window in range(largest, min(SMALLEST_WINDOW, largest) - 1, -1):
            if size[0] // STRIDE % window == 0 and size[1] // STRIDE % window == 0:
                return window
    raise UsageError(
        f"florence cannot see {size[0]}x{size[1]}: no window of {SMALLEST_WINDOW} to {largest} divides its grid",
        hint="use 768, 512, 384, 256 or 224",
    )


def _open_packaged(request: Request, size: Packaged) -> Candidate:
    """Open a small tower in the package, which has a head for the classes of `shapes`."""
    published, called = size.pixels(), f"florence-{size.size}"
    preprocess = request.prepared(lambda: published)
    if preprocess.size != published.size:
        raise UsageError(f"{called} sees {published.size[0]}x{published.size[1]} and nothing else")
    checkpoint = find_packaged(request.weights, size.weights, source=f"package:{called}")
    network: Any = FLORENCE_TOWERS[size.size]()
    load_strict(network, checkpoint.tensors, source=checkpoint.record.source, what=called)
    network.head = nn.Identity()
    own = replace(_own_head(checkpoint.tensors), classes=NANO_CLASSES)
    classifier = choose_classifier(request, dim=own.dim, weights=checkpoint.record, own=own)
    window = network.stages[0].blocks[0].spatial_block.window_size[0]
    return Candidate(FlorenceTower(network, window), size.size, checkpoint.record, preprocess, classifier)


def _own_head(tensors: Mapping[str, Any]) -> Head:
    """The classifier of a fine-tuned timm checkpoint: pool, layer norm, linear."""
    parts = {f"{kind}": tensors[f"head.fc.{kind}"].float() for kind in ("weight", "bias")}
    norms = {f"norm_{kind}": tensors[f"head.norm.{kind}"].float() for kind in ("weight", "bias")}
    return Head(**parts, **norms, norm="layer")


def _recognised(
    facts: FamilyFacts, request: Request, tensors: Mapping[str, Any], settings: dict[str, Any] | None
) -> tuple[str, DavitShape]:
    """Recognise a checkpoint's size from its tensors. A checkpoint of no published size must have a configuration."""
    count = 1 + max((int(n.split(".")[1]) for n in tensors if n.startswith("stages.")), default=0)
    depths = tuple(len({n.split(".")[3] for n in tensors if n.startswith(f"stages.{i}.blocks.")}) for i in range(count))
    dims = tuple(tensors[n].shape[0] for n in _dim_names(count) if n in tensors)
    for name, size in facts.sizes.items():
        shape = DavitShape.from_plain(size.architecture)
        if (shape.depths, shape.dims) == (depths, dims):
            _agree(request, name)
            return name, shape
    if settings is None:
        raise UsageError(
            f"a tower of widths {dims} and depths {depths} matches no published size ({', '.join(facts.sizes)})",
            hint="pass the folder that has its config.json",
        )
    _agree(request, CUSTOM)
    vision = _vision_settings(settings)
    if list(vision.num_heads) != list(vision.num_groups):
        raise UsageError(f"towers whose heads {vision.num_heads} and groups {vision.num_groups} differ are not known")
    return CUSTOM, DavitShape(depths=depths, dims=dims, heads=tuple(vision.num_heads), window=vision.window_size)


def _vision_settings(settings: dict[str, Any]) -> Any:
    """The vision settings of a config.json, with transformers' defaults for values that it leaves out."""
    from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

    return Florence2VisionConfig.from_dict(settings.get("vision_config", settings))


def _dim_names(count: int) -> list[str]:
    return ["stem.conv.weight", *(f"stages.{i}.downsample.conv.weight" for i in range(1, count))]


def _agree(request: Request, found: str) -> None:
    if request.size not in (None, found):
        raise Mismatch(f"--size is {request.size}, but the checkpoint is florence {found}")
