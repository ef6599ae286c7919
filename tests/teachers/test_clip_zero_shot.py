"""CLIP's zero-shot logits are cosines to the words it was given, and to no others."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from kdcache.errors import Unavailable, UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.loading.sizes import family_facts
from kdcache.teachers.registry import open_teacher
from tests.teachers.clip_paper import IMAGE, image_tokens, text_embedding, token_ids


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
    torch.testing.assert_close(teacher.emit(Shown(views))["logits"], expected, rtol=1e-4, atol=1e-4)
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


def test_all_prompts_of_openai_are_there():
    templates = family_facts("clip").templates
    assert {name: len(set(group)) for name, group in templates.items()} == {"plain": 1, "simple": 7, "openai": 80}
    assert set(templates["simple"]) < set(templates["openai"])
    assert all(template.count("{}") == 1 for group in templates.values() for template in group)
