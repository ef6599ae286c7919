"""CLIP: every layout says what a plain reading of the paper says, and zero-shot logits are cosines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.teachers import open_teacher
from kdcache.teachers.clip_shape import ClipShape
from kdcache.teachers.sizes import family_facts

WIDTH, LAYERS, PATCH, IMAGE, DIM, CONTEXT = 128, 2, 8, 32, 24, 12
WORDS = ["<pad>", "<start>", "<unknown>", "a", "photo", "of", "the", "cat", "dog", "red", "ring", ".", "<end>"]
SHAPE = {
    "image": IMAGE,
    "patch": PATCH,
    "width": WIDTH,
    "layers": LAYERS,
    "heads": 2,
    "dim": DIM,
    "activation": "quick_gelu",
    "text": {"context": CONTEXT, "vocabulary": len(WORDS), "width": 64, "layers": 2, "heads": 1},
}
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIGNALS = ["embedding", "features"]


def block_tensors(prefix: str, width: int, make: Callable[..., torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors = {}
    for layer in range(LAYERS):
        place = f"{prefix}transformer.resblocks.{layer}."
        shapes = {
            "attn.in_proj_weight": (3 * width, width),
            "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "mlp.c_fc.weight": (4 * width, width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (width, 4 * width),
            "mlp.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
        }
        tensors |= {place + name: make(*shape) for name, shape in shapes.items()}
    return tensors


@pytest.fixture
def openai() -> dict[str, torch.Tensor]:
    """A small CLIP under the names of OpenAI and open_clip."""
    generator = torch.Generator().manual_seed(3)

    def make(*shape: int) -> torch.Tensor:
        noise = 0.1 * torch.randn(shape, generator=generator)
        return 1 + noise if len(shape) == 1 else noise

    tensors = {
        "visual.class_embedding": make(WIDTH),
        "visual.positional_embedding": make((IMAGE // PATCH) ** 2 + 1, WIDTH),
        "visual.conv1.weight": make(WIDTH, 3, PATCH, PATCH),
        "visual.proj": make(WIDTH, DIM),
        "token_embedding.weight": make(len(WORDS), 64),
        "positional_embedding": make(CONTEXT, 64),
        "text_projection": make(64, DIM),
        "logit_scale": torch.tensor(2.5),
        **{f"visual.{norm}.{leaf}": make(WIDTH) for norm in ("ln_pre", "ln_post") for leaf in ("weight", "bias")},
        **{f"ln_final.{leaf}": make(64) for leaf in ("weight", "bias")},
    }
    return tensors | block_tensors("visual.", WIDTH, make) | block_tensors("", 64, make)


def normed(t: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], 1e-5)


def blocks(t: dict[str, torch.Tensor], prefix: str, x: torch.Tensor, heads: int, mask: Any, act: Any) -> torch.Tensor:
    """Pre-norm residual blocks, straight from the paper, attention written out."""
    count, width = x.shape[1:]
    for layer in range(LAYERS):
        place = f"{prefix}transformer.resblocks.{layer}."
        joint = F.linear(normed(t, place + "ln_1", x), t[place + "attn.in_proj_weight"], t[place + "attn.in_proj_bias"])
        q, k, v = (part.view(len(x), count, heads, -1).transpose(1, 2) for part in joint.split(width, dim=2))
        weights = q @ k.transpose(2, 3) / (width // heads) ** 0.5
        mixed = ((weights + mask if mask is not None else weights).softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        x = x + F.linear(mixed, t[place + "attn.out_proj.weight"], t[place + "attn.out_proj.bias"])
        hidden = act(F.linear(normed(t, place + "ln_2", x), t[place + "mlp.c_fc.weight"], t[place + "mlp.c_fc.bias"]))
        x = x + F.linear(hidden, t[place + "mlp.c_proj.weight"], t[place + "mlp.c_proj.bias"])
    return x


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


def image_tokens(t: dict[str, torch.Tensor], images: torch.Tensor, act: Any = quick_gelu) -> torch.Tensor:
    """All tokens, class token first, after the last norm and the projection."""
    x = F.conv2d(images, t["visual.conv1.weight"], stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([t["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1) + t["visual.positional_embedding"]
    x = blocks(t, "visual.", normed(t, "visual.ln_pre", x), WIDTH // 64, None, act)
    return normed(t, "visual.ln_post", x) @ t["visual.proj"]


def text_embedding(t: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """The token of the largest id, which is the end of the text."""
    x = t["token_embedding.weight"][ids] + t["positional_embedding"][: ids.shape[1]]
    mask = torch.full((ids.shape[1],) * 2, float("-inf")).triu(1)
    x = normed(t, "ln_final", blocks(t, "", x, 1, mask, quick_gelu))
    return x[torch.arange(len(ids)), ids.argmax(dim=1)] @ t["text_projection"]


def token_ids(text: str) -> torch.Tensor:
    words = ["<start>", *text.replace(".", " .").split(), "<end>"]
    return torch.tensor([[WORDS.index(word) for word in words]])


def write_tokenizer(folder: Path) -> None:
    """A word tokenizer with CLIP's frame, as a published folder has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<start>", WORDS.index("<start>")), ("<end>", WORDS.index("<end>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unknown>", pad_token="<pad>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(folder)


@pytest.fixture
def open_clip_folder(openai, save, tmp_path: Path) -> Path:
    """A folder as open_clip publishes it."""
    folder = tmp_path / "open_clip"
    folder.mkdir()
    save(openai, folder / "open_clip_model.safetensors")
    settings = {
        "model_cfg": {
            "embed_dim": DIM,
            "quick_gelu": True,
            "vision_cfg": {"image_size": IMAGE, "layers": LAYERS, "width": WIDTH, "patch_size": PATCH},
            "text_cfg": {"context_length": CONTEXT, "vocab_size": len(WORDS), "width": 64, "heads": 1, "layers": 2},
        },
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    write_tokenizer(folder)
    return folder


def check_says(teacher: Any, openai: Any, views: torch.Tensor, normal: Any, act: Any = quick_gelu) -> None:
    preprocess = teacher.spec.preprocess
    tokens = image_tokens(openai, normal(views, preprocess.mean, preprocess.std), act)
    said = teacher.say(views)
    torch.testing.assert_close(said["embedding"], tokens[:, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(said["features"], tokens[:, 1:], rtol=1e-4, atol=1e-4)
    assert teacher.spec.signal("features").grid == (IMAGE // PATCH, IMAGE // PATCH)


def test_open_clips_folder_with_its_own_configuration(openai, open_clip_folder, pixels, normal):
    teacher = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
    assert teacher.spec.size == "custom"
    assert teacher.spec.preprocess.mean == (0.5, 0.5, 0.5)
    check_says(teacher, openai, pixels(2, (IMAGE, IMAGE)), normal)


def test_open_clips_plain_gelu_is_told_apart(openai, open_clip_folder, pixels, normal):
    path = open_clip_folder / "open_clip_config.json"
    settings = json.loads(path.read_text())
    del settings["model_cfg"]["quick_gelu"]
    path.write_text(json.dumps(settings))
    teacher = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
    check_says(teacher, openai, pixels(2, (IMAGE, IMAGE)), normal, F.gelu)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_openais_names_needs_its_size(wrapped, openai, family, pixels, normal, tmp_path: Path):
    family("clip", tiny={**SHAPE, "size": (IMAGE, IMAGE)})
    extras = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}
    tensors: dict[str, Any] = {name: value.half() for name, value in openai.items()} | extras
    if wrapped:
        tensors = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in tensors.items()}}
    torch.save(tensors, tmp_path / "clip.pt")
    with pytest.raises(UsageError, match="does not say its activation"):
        open_teacher("clip", weights=str(tmp_path / "clip.pt"), signals=SIGNALS)
    teacher = open_teacher("clip", size="tiny", weights=str(tmp_path / "clip.pt"), signals=SIGNALS)
    assert teacher.spec.size == "tiny"
    assert teacher.spec.preprocess.mean == CLIP_MEAN
    check_says(teacher, {n: v.half().float() for n, v in openai.items()}, pixels(2, (IMAGE, IMAGE)), normal)


@pytest.fixture
def transformers_model(randomised) -> Any:
    from transformers import CLIPConfig, CLIPModel

    shape = ClipShape.from_plain(SHAPE)
    config = CLIPConfig(
        vision_config=shape.vision_config().to_dict(), text_config=shape.text_config().to_dict(), projection_dim=DIM
    )
    return randomised(CLIPModel(config))


def write_processor(folder: Path, side: int = IMAGE) -> None:
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "resample": 3,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def test_transformers_folder(transformers_model, pixels, normal, tmp_path: Path):
    transformers_model.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="does not say how pixels are prepared"):
        open_teacher("clip", weights=str(tmp_path), signals=SIGNALS)
    write_processor(tmp_path)
    write_tokenizer(tmp_path)
    teacher = open_teacher(
        "clip", weights=str(tmp_path), signals=["logits", "embedding"], classes=["cat"], templates=["a {}"]
    )
    views = pixels(2, (IMAGE, IMAGE))
    with torch.no_grad():
        out = transformers_model(pixel_values=normal(views, CLIP_MEAN, CLIP_STD), input_ids=token_ids("a cat"))
        image = transformers_model.get_image_features(normal(views, CLIP_MEAN, CLIP_STD))
    said = teacher.say(views)
    torch.testing.assert_close(said["logits"], out.logits_per_image, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(said["embedding"], getattr(image, "pooler_output", image), rtol=1e-4, atol=1e-4)


def test_an_image_tower_alone_has_no_zero_shot(transformers_model, pixels, tmp_path: Path):
    from transformers import CLIPVisionModelWithProjection

    config = transformers_model.config.vision_config
    config.projection_dim = DIM
    tower = CLIPVisionModelWithProjection(config)
    own = {
        n: v
        for n, v in transformers_model.state_dict().items()
        if n.startswith(("vision_model.", "visual_projection."))
    }
    tower.load_state_dict(own)
    tower.save_pretrained(tmp_path / "vision")
    transformers_model.save_pretrained(tmp_path / "whole")
    write_processor(tmp_path / "vision")
    write_processor(tmp_path / "whole")
    views = pixels(2, (IMAGE, IMAGE))
    alone, whole = (open_teacher("clip", weights=str(tmp_path / kind), signals=SIGNALS) for kind in ("vision", "whole"))
    assert all(torch.equal(alone.say(views)[name], whole.say(views)[name]) for name in SIGNALS)
    with pytest.raises(UsageError, match="cannot say 'logits'; it can say embedding, features") as caught:
        open_teacher("clip", weights=str(tmp_path / "vision"), classes=["cat"])
    assert "--head FILE" in str(caught.value.hint)


def test_zero_shot_logits_are_the_scaled_cosine_to_the_mean_prompt(openai, open_clip_folder, pixels, normal):
    templates = ["a photo of the {}.", "a {}"]
    classes = ["cat", "red ring", "dog"]
    teacher = open_teacher("clip", weights=str(open_clip_folder), classes=classes, templates=templates)
    views = pixels(3, (IMAGE, IMAGE))
    image = F.normalize(image_tokens(openai, normal(views, (0.5,) * 3, (0.5,) * 3))[:, 0], dim=1)
    rows = []
    for name in classes:
        prompts = torch.cat([F.normalize(text_embedding(openai, token_ids(t.format(name))), dim=1) for t in templates])
        rows.append(F.normalize(prompts.mean(dim=0), dim=0))
    expected = torch.exp(torch.tensor(2.5)) * image @ torch.stack(rows).T
    torch.testing.assert_close(teacher.say(views)["logits"], expected, rtol=1e-4, atol=1e-4)
    assert teacher.spec.classes == tuple(classes)
    assert teacher.spec.head is not None
    offered = open_teacher("clip", weights=str(open_clip_folder), offered=classes, templates=templates)
    assert offered.spec == teacher.spec
    assert "2 prompts a class" in teacher.spec.taps["logits"]


def test_a_zero_shot_head_is_known_by_its_words(open_clip_folder):
    def head(**options: Any) -> Any:
        words = {"classes": ["cat", "dog"], "templates": ["a {}"], **options}
        return open_teacher("clip", weights=str(open_clip_folder), **words).spec.head

    assert head() == head()
    assert head() != head(classes=["dog", "cat"])
    assert head() != head(templates=["the {}"])


def test_words_it_does_not_know_are_refused(open_clip_folder):
    with pytest.raises(UsageError, match="'blue heron'"):
        open_teacher("clip", weights=str(open_clip_folder), classes=["cat", "blue heron"], templates=["a {}"])


def test_zero_shot_needs_class_names_and_sound_templates(open_clip_folder):
    weights = str(open_clip_folder)
    with pytest.raises(UsageError, match="need class names") as caught:
        open_teacher("clip", weights=weights)
    assert "--classes" in str(caught.value.hint)
    for template in ("a photo", "{} and {}", "{0}", "{name}"):
        with pytest.raises(UsageError, match="exactly one"):
            open_teacher("clip", weights=weights, classes=["cat"], templates=[template])
    with pytest.raises(UsageError, match="at least one"):
        open_teacher("clip", weights=weights, classes=["cat"], templates=[])
    with pytest.raises(UsageError, match="no prompt templates called 'mine'"):
        open_teacher("clip", weights=weights, classes=["cat"], templates="mine")


def test_without_a_tokenizer_the_way_out_is_named(open_clip_folder, monkeypatch: pytest.MonkeyPatch):
    (open_clip_folder / "tokenizer.json").unlink()

    def unreachable(*_args: object, **_options: object) -> str:
        raise OSError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(Unavailable, match="without a tokenizer"):
        open_teacher("clip", weights=str(open_clip_folder), classes=["cat"], templates=["a {}"])


def test_tinyvits_teacher(openai, pixels, normal, tmp_path: Path):
    visual = {name: value for name, value in openai.items() if name.startswith("visual.")}
    weight, bias = torch.randn(7, DIM), torch.randn(7)
    torch.save({"model": visual | {"head.weight": weight, "head.bias": bias}}, tmp_path / "clip_22k.pth")
    teacher = open_teacher("clip", weights=str(tmp_path / "clip_22k.pth"), signals=["logits", *SIGNALS])
    assert teacher.spec.size == "custom"
    assert teacher.spec.preprocess.size == (IMAGE, IMAGE)
    assert teacher.spec.preprocess.geometry.crop_pct == 0.875
    views = pixels(2, (IMAGE, IMAGE))
    check_says(teacher, openai, views, normal)
    pooled = image_tokens(openai, normal(views, CLIP_MEAN, CLIP_STD))[:, 0]
    torch.testing.assert_close(teacher.say(views)["logits"], F.linear(pooled, weight, bias), rtol=1e-4, atol=1e-3)
    assert teacher.spec.head is None


def test_tensors_no_clip_has_are_refused(openai, open_clip_folder, save):
    save(openai | {"visual.trunk.norm.weight": torch.zeros(2)}, open_clip_folder / "open_clip_model.safetensors")
    with pytest.raises(Mismatch, match=r"visual\.trunk\.norm\.weight"):
        open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)
    del openai["visual.transformer.resblocks.1.ln_2.bias"]
    save(openai, open_clip_folder / "open_clip_model.safetensors")
    with pytest.raises(Mismatch, match=r"1 missing \(vision_model\.encoder\.layers\.1\.layer_norm2\.bias\)"):
        open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS)


def test_a_larger_input_gets_interpolated_positions(open_clip_folder, pixels):
    teacher = open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS, input_size=(48, 32))
    assert teacher.spec.signal("features").grid == (6, 4)
    assert "interpolated" in teacher.spec.taps["features"]
    with pytest.raises(UsageError, match="patches are 8 pixels"):
        open_teacher("clip", weights=str(open_clip_folder), signals=SIGNALS, input_size=36)


@pytest.mark.parametrize(
    ("size", "tokens", "width", "millions"),
    [("l14", 257, 1024, 303.97), ("l14-22k", 257, 1024, 303.97), ("b16", 197, 768, 86.19)],
)
def test_published_sizes_have_the_published_numbers(size: str, tokens: int, width: int, millions: float):
    from transformers import CLIPVisionModelWithProjection

    shape = ClipShape.from_plain(family_facts("clip").sizes[size].architecture)
    with torch.device("meta"):
        network = CLIPVisionModelWithProjection(shape.vision_config())
    assert network.vision_model.embeddings.position_embedding.weight.shape == (tokens, width)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2) == millions


def test_all_prompts_of_openai_are_there():
    templates = family_facts("clip").templates
    assert {name: len(set(group)) for name, group in templates.items()} == {"plain": 1, "simple": 7, "openai": 80}
    assert set(templates["simple"]) < set(templates["openai"])
    assert all(template.count("{}") == 1 for group in templates.values() for template in group)
