"""The two networks that are told what they see: what each answers, which grid it sees by, how its checkpoint is written.

Input: normalised pixels. Output: logits for the classes of `shapes`, and checkpoints laid out like the published ones,
with weights in float16.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from kdcache.teachers.nano import FILES, NANO_PREPROCESS, Family, nano_clip_config, nano_florence
from kdcache.teachers.nano_training.captions import Captions, save_tokenizer


@dataclass(frozen=True)
class Seen:
    """What a network in training makes of a batch."""

    logits: Tensor
    """Class logits, (batch, classes)."""
    grids: tuple[Tensor, ...]
    """Feature maps half-way through the network, (batch, dim, 8, 8); the first predicts where the target is."""
    whole: Tensor
    """Embedding of the whole picture, (batch, dim)."""


class Pupil(Protocol):
    """A network in training."""

    network: nn.Module
    dims: tuple[int, ...]
    """Channels of each feature map, then of the embedding."""

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """What it sees, as it is in training."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """How wrong the logits are."""

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits as they are used afterwards."""

    def save(self, out: Path, facts: dict[str, str]) -> Path:
        """Write the checkpoint below a folder; returns the weights file."""


def new_pupil(family: Family) -> Pupil:
    """A network with fresh weights, drawn from torch's own generator."""
    return FlorencePupil() if family == "florence" else ClipPupil()


class FlorencePupil:
    """Learns to name the class through its head."""

    dims: tuple[int, ...] = (64, 128)

    def __init__(self) -> None:
        self.network: Any = nano_florence().to(memory_format=torch.channels_last)

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """The grid is what the second of four stages puts out."""
        net = self.network
        grid = net.stages[1](net.stages[0](net.stem(pixels)))
        last = net.norm_pre(net.stages[3](net.stages[2](grid)))
        return Seen(net.forward_head(last).float(), (grid.float(),), last.mean((2, 3)).float())

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, with a tenth of the weight on all classes alike."""
        return nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)

    def answer(self, pixels: Tensor) -> Tensor:
        """Logits of the head."""
        logits: Tensor = self.network(pixels).float()
        return logits

    def save(self, out: Path, facts: dict[str, str]) -> Path:
        """One file, timm's own keys."""
        return save_half(self.network.state_dict(), out / FILES["florence"], facts)


class ClipPupil:
    """Learns to bring pictures and captions of the same class together."""

    dims: tuple[int, ...] = (96, 96, 96, 64)

    def __init__(self) -> None:
        from transformers import CLIPConfig, CLIPModel

        self.network: Any = CLIPModel(CLIPConfig(**nano_clip_config()))
        self.captions = Captions.of_shapes()
        places = self.network.vision_model.embeddings.position_embedding.weight
        with torch.no_grad():
            places[1:] = 0.3 * _waves(8, places.shape[1])

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """Similarity to one drawn caption a class; the grids are after four, three and five of six layers."""
        seen = self.network.vision_model(pixel_values=pixels, output_hidden_states=True)
        scale = self.network.logit_scale.clamp(max=4.6).exp()
        similar = scale * self._picture(seen.pooler_output) @ self._texts(self.captions.draw(dice)).T
        grids = (seen.hidden_states[n][:, 1:].float().transpose(1, 2).unflatten(2, (8, 8)) for n in (4, 3, 5))
        return Seen(similar.float(), tuple(grids), self.network.visual_projection(seen.pooler_output).float())

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Contrastive both ways: each picture finds its caption, each caption all its pictures in the batch."""
        find_caption = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
        present = nn.functional.one_hot(labels, logits.shape[1]).T.float()
        shown = present.sum(1) > 0
        wanted = present[shown] / present[shown].sum(1, keepdim=True)
        return find_caption + 0.25 * nn.functional.cross_entropy(logits.T[shown], wanted)

    def answer(self, pixels: Tensor) -> Tensor:
        """Similarity to the mean of each class's captions: zero-shot, from the names alone."""
        classes, templates, context = self.captions.ids.shape
        texts = self._texts(self.captions.ids.view(-1, context)).view(classes, templates, -1).mean(1)
        seen = self.network.vision_model(pixel_values=pixels)
        return self._picture(seen.pooler_output) @ nn.functional.normalize(texts, dim=-1).T

    def _picture(self, pooled: Tensor) -> Tensor:
        return nn.functional.normalize(self.network.visual_projection(pooled).float(), dim=-1)

    def _texts(self, ids: Tensor) -> Tensor:
        pooled = self.network.text_model(input_ids=ids).pooler_output
        return nn.functional.normalize(self.network.text_projection(pooled).float(), dim=-1)

    def save(self, out: Path, facts: dict[str, str]) -> Path:
        """A folder as `save_pretrained` writes it; its config says float32, so that halves are widened on loading."""
        path = out / FILES["clip"]
        path.parent.mkdir(parents=True, exist_ok=True)
        self.network.config.dtype = torch.float32
        self.network.config.save_pretrained(path.parent)
        save_tokenizer(path.parent)
        _save_preprocessor(path.parent)
        return save_half(self.network.state_dict(), path, facts)  # last: with its weights the folder is whole


def _waves(side: int, dim: int) -> Tensor:
    """Where each patch of a square grid is, in sines and cosines: neighbours start out alike."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    pace = 100 ** (-torch.arange(dim // 4) / (dim // 4))
    turns = [place.flatten()[:, None] * pace for place in (rows, columns)]
    return torch.cat([wave for turn in turns for wave in (turn.sin(), turn.cos())], 1)


def save_half(tensors: Mapping[str, Tensor], path: Path, facts: dict[str, str]) -> Path:
    """Write a weights file, floating point as float16, with what its header says."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().contiguous() for name, value in tensors.items()}
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    unfinished = path.with_suffix(".unfinished")
    save_file(half, unfinished, {"format": "pt", **facts})
    unfinished.chmod(0o644)
    return unfinished.replace(path)


def _save_preprocessor(folder: Path) -> None:
    """What a published CLIP folder says about its preprocessing."""
    preprocess = NANO_PREPROCESS["clip"]
    height, width = preprocess.size
    content = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": height},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": height, "width": width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.std),
        "do_convert_rgb": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
