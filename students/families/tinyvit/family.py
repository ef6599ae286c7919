"""The family `tinyvit`: a convolutional stage, then three stages of window attention, as timm builds it (arXiv 2207.10666)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from kdcache.base.strict import first_mistake
from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import TeacherSpec
from students.base.contracts import Adopted, Defaults, Group, Head, Needs, Request
from students.families.tinyvit.spec import LARGEST, STRIDE, TinyViTPreset, TinyViTSpec
from students.families.tinyvit.weights import adopted, groups

if TYPE_CHECKING:
    from torch import Tensor, nn

TIMM_MODES = {"crop": "center", "squash": "squash"}
"""Our resizing geometry -> timm's name for it."""
FIRST_CONVOLUTION = "patch_embed.conv1.conv"
"""Name of timm's layer that takes the pixels."""


class TinyViT:
    """The family `tinyvit`."""

    name = "tinyvit"
    description = "TinyViT of any width and depth, as timm builds it"
    preset = TinyViTPreset
    spec = TinyViTSpec
    defaults = Defaults(task="classify", teacher="florence", signals=("logits",))
    classifier = "head.fc"
    exports: Mapping[str, str] = {
        "timm": "students.export.timm:export_timm",
        "onnx": "students.export.onnx:export_onnx",
    }

    def resolve(self, preset: TinyViTPreset, request: Request, before: TinyViTSpec | None) -> TinyViTSpec:
        """The student of a preset; its windows scale with the input."""
        count, side = len(request.classes), request.size or preset.input
        if count < 2:
            raise UsageError(
                f"the images have {count} class, and a student needs at least 2",
                hint="train on images of several classes",
            )
        if side < STRIDE or side % STRIDE:
            below = max(STRIDE, side // STRIDE * STRIDE)
            hint = f"{below} and {below + STRIDE} are the nearest"
            raise UsageError(f"input of {side} pixels: TinyViT needs a multiple of {STRIDE}", hint=hint)
        if side > LARGEST:
            raise UsageError(
                f"input of {side:,} pixels: TinyViT takes {LARGEST:,} at most", hint="512 is the largest published"
            )
        try:
            return TinyViTSpec.of(preset, request, side)
        except ValidationError as mistakes:
            place, wanted = first_mistake(mistakes)
            raise UsageError(f"{request.name} cannot be made: {place} {wanted}".replace("  ", " ")) from mistakes

    def check_batch(self, spec: TinyViTSpec, batch: int, micro: int) -> None:
        """Refuses a piece of one image if the last map is one pixel: BatchNorm needs more than one value per channel."""
        if spec.input[0] != STRIDE or (micro > 1 and batch % micro != 1):
            return
        fitting = next((pieces for pieces in (*range(min(micro, batch), 1, -1), batch) if batch % pieces != 1), 1)
        way = f"--micro {fitting}" if fitting > 1 else "--batch 2 or more"
        raise Mismatch(
            f"a batch of {batch} in pieces of {micro} leaves a piece of one image, and at {spec.input[0]} pixels BatchNorm "
            "cannot compute a variance over one image",
            hint=f"{way}, or a larger input with --size {2 * spec.input[0]}",
        )

    def needs(self, spec: TinyViTSpec) -> Needs:
        """No requirements beyond those of the objectives."""
        return Needs()

    def outputs(self, spec: TinyViTSpec) -> tuple[str, ...]:
        """`features`: the last map, (batch, channels, height, width); `embedding`: pooled and normed, before the classifier."""
        return "logits", "embedding", "features"

    def build(self, spec: TinyViTSpec) -> "nn.Module":
        """timm's network, with random weights."""
        import timm

        if not timm.is_model(spec.architecture):
            raise Mismatch(
                f"{spec.name} is no TinyViT: timm has no network {spec.architecture}",
                hint="use a preset (kd student list), or a run that kd wrote",
            )
        network: nn.Module = timm.create_model(
            spec.architecture, pretrained=False, num_classes=len(spec.classes), **spec.arguments
        )
        return network

    def trained(self, network: "nn.Module", spec: TinyViTSpec, outputs: frozenset[str]) -> "nn.Module":
        """A module that gives the requested outputs from one forward pass."""
        from students.families.tinyvit.trained import Trained

        return Trained(network, outputs)

    def start(self, network: "nn.Module", spec: TinyViTSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Nothing is copied from the teacher."""

    def check_shared(self, network: "nn.Module", spec: TinyViTSpec, teacher: TeacherSpec, weights: str | None) -> None:
        """Nothing is shared with the teacher."""

    def adopt(self, tensors: Mapping[str, Any], network: "nn.Module", spec: TinyViTSpec) -> Adopted:
        """Accepts timm's and the published layout; attention biases of other windows are interpolated."""
        return adopted(tensors, network)

    def batch(
        self, pixels: "Tensor | None", signals: Mapping[str, Any], truths: Mapping[str, Any], spec: TinyViTSpec
    ) -> dict[str, Any]:
        """The pixels; no signal or truth is used."""
        return {"pixels": pixels}

    def heads(self, network: Any, spec: TinyViTSpec) -> Mapping[str, Head]:
        """`logits`: the classifier's output; `embedding`: its input."""

        def embedding(pixels: "Tensor") -> "Tensor":
            pooled: Tensor = network.forward_head(network.forward_features(pixels), pre_logits=True)
            return pooled

        return {
            "logits": Head(network, "its classifier"),
            "embedding": Head(embedding, "what it makes of an image before it names it"),
        }

    def traced(self, network: Any, spec: TinyViTSpec, head: str) -> "nn.Module":
        """A head as a module in which attention looks up its biases at every call, as in training.

        In eval mode timm caches the bias of every pair of tokens, and the cache would be written into the file: 12 heads of
        1,024 × 1,024 in each of six blocks at 512 pixels. Nothing else in these modules depends on the mode.
        """
        from students.families.tinyvit.trained import Embedding

        for module in network.modules():
            if hasattr(module, "attention_bias_cache"):
                module.training = True
        traced: nn.Module = network if head == "logits" else Embedding(network)
        return traced

    def groups(self, network: Any, spec: TinyViTSpec) -> Iterable[Group]:
        """Every trained parameter, with layers numbered as in `set_layer_lr_decay` of TinyViT."""
        return groups(network)

    def timm_config(self, spec: TinyViTSpec) -> dict[str, Any]:
        """timm's configuration of the network, with the images and classes of this student."""
        geometry = spec.geometry
        if geometry.fit not in TIMM_MODES or geometry.turn or geometry.cut == "floor":
            pads = geometry.fit not in TIMM_MODES
            what = "pads its images with black, which" if pads else "turns its images, or cuts them as"
            raise UsageError(
                f"{spec.name} {what} timm's configuration cannot express", hint="export it with --format onnx"
            )
        height, width = spec.input
        return {
            "architecture": spec.architecture,
            "num_classes": len(spec.classes),
            "label_names": list(spec.classes),
            "model_args": spec.arguments,
            "pretrained_cfg": {
                "custom_load": False,
                "input_size": [3, height, width],
                "interpolation": geometry.interpolation,
                "crop_pct": geometry.crop_pct,
                "crop_mode": TIMM_MODES[geometry.fit],
                "mean": list(spec.mean),
                "std": list(spec.std),
                "num_classes": len(spec.classes),
                "first_conv": FIRST_CONVOLUTION,
                "classifier": self.classifier,
            },
        }


FAMILY = TinyViT()
