"""The training of clip-nano, a small CLIP that learns to match pictures with captions of the same class."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdcache.teachers.nano import CLIP_PIXELS, nano_clip_config
from kdcache.teachers.nano_training.captions import Captions, save_tokenizer
from kdcache.teachers.nano_training.guide import Guide
from kdcache.teachers.nano_training.named import trained_on_names
from kdcache.teachers.nano_training.pupils import Seen, save_half
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.trainer import Made, Trainer, Work


class ClipPupil:
    """The network in training, which learns to match pictures with captions of the same class."""

    dims: tuple[int, ...] = (96, 96, 96, 64)

    def __init__(self) -> None:
        from transformers import CLIPConfig, CLIPModel

        self.network: Any = CLIPModel(CLIPConfig(**nano_clip_config()))
        self.captions = Captions.of_shapes()
        places = self.network.vision_model.embeddings.position_embedding.weight
        with torch.no_grad():
            places[1:] = 0.3 * _waves(8, places.shape[1])

    def look(self, pixels: Tensor, dice: torch.Generator) -> Seen:
        """Similarity to one random caption of each class; the grids are taken after layers four, three and five of six."""
        seen = self.network.vision_model(pixel_values=pixels, output_hidden_states=True)
        scale = self.network.logit_scale.clamp(max=4.6).exp()
        similar = scale * self._picture(seen.pooler_output) @ self._texts(self.captions.draw(dice)).T
        grids = (seen.hidden_states[n][:, 1:].float().transpose(1, 2).unflatten(2, (8, 8)) for n in (4, 3, 5))
        return Seen(similar.float(), tuple(grids), self.network.visual_projection(seen.pooler_output).float())

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Contrastive loss in both directions: pictures to captions, and captions to all their pictures in the batch."""
        find_caption = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
        present = nn.functional.one_hot(labels, logits.shape[1]).T.float()
        shown = present.sum(1) > 0
        wanted = present[shown] / present[shown].sum(1, keepdim=True)
        return find_caption + 0.25 * nn.functional.cross_entropy(logits.T[shown], wanted)

    def answer(self, pixels: Tensor) -> Tensor:
        """Zero-shot logits: similarity to the mean of each class's captions."""
        classes, templates, context = self.captions.ids.shape
        texts = self._texts(self.captions.ids.view(-1, context)).view(classes, templates, -1).mean(1)
        seen = self.network.vision_model(pixel_values=pixels)
        return self._picture(seen.pooler_output) @ nn.functional.normalize(texts, dim=-1).T

    def _picture(self, pooled: Tensor) -> Tensor:
        return nn.functional.normalize(self.network.visual_projection(pooled).float(), dim=-1)

    def _texts(self, ids: Tensor) -> Tensor:
        pooled = self.network.text_model(input_ids=ids).pooler_output
        return nn.functional.normalize(self.network.text_projection(pooled).float(), dim=-1)

    def save(self, path: Path, facts: dict[str, str]) -> Path:
        """Write a folder like `save_pretrained`; its config says float32, so that float16 weights are widened on loading."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.network.config.dtype = torch.float32
        self.network.config.save_pretrained(path.parent)
        save_tokenizer(path.parent)
        _save_preprocessor(path.parent)
        return save_half(self.network.state_dict(), path, facts)  # written last: a folder with weights is complete


def _waves(side: int, dim: int) -> Tensor:
    """Initial position embeddings of a square grid from sines and cosines, so that those of neighbours are similar."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    pace = 100 ** (-torch.arange(dim // 4) / (dim // 4))
    turns = [place.flatten()[:, None] * pace for place in (rows, columns)]
    return torch.cat([wave for turn in turns for wave in (turn.sin(), turn.cos())], 1)


def _save_preprocessor(folder: Path) -> None:
    """Write the preprocessing file of a published CLIP folder."""
    preprocess = CLIP_PIXELS
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


def _make(work: Work) -> Made:
    pupil = ClipPupil()
    return trained_on_names(pupil, work, measured="zero-shot", guide=Guide(pupil.dims))


TRAINER = Trainer(Schedule(epochs=24, rate=1e-3), _make)
