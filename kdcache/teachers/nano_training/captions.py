"""Captions for clip-nano: a small word-level tokenizer and the token ids of every class under every template.

Input: the templates and class names. Output: a tokenizer file as in published CLIP checkpoints, and a `Captions` table.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kdcache.teachers.nano import CONTEXT, NANO_CLASSES, NANO_TEMPLATES, SPECIAL_TOKENS, nano_vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def nano_tokenizer() -> "Tokenizer":
    """A tokenizer of lower-cased words and punctuation, with start and end tokens, padded to the context."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordLevel

    pad, start, unknown, end = SPECIAL_TOKENS
    numbers = {word: number for number, word in enumerate(nano_vocabulary())}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(start, numbers[start]), (end, numbers[end])]
    tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A {end}", special_tokens=ends)
    tokenizer.enable_truncation(CONTEXT)
    tokenizer.enable_padding(pad_id=numbers[pad], pad_token=pad, length=CONTEXT)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def save_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json for transformers."""
    pad, start, unknown, end = SPECIAL_TOKENS
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "pad_token": pad,
        "bos_token": start,
        "unk_token": unknown,
        "eos_token": end,
    }
    nano_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Captions:
    """Token ids of all captions: every class (first axis) in every template (second axis)."""

    ids: Tensor
    """Token ids, int64 (classes, templates, CONTEXT)."""
    spare: Tensor
    """Boolean mask like `ids`: true for tokens of the template, false for tokens of the class name."""

    @classmethod
    def of_shapes(cls) -> "Captions":
        """The captions of the classes of shapes."""
        tokenizer = nano_tokenizer()
        texts = [[template.format(name) for template in NANO_TEMPLATES] for name in NANO_CLASSES]
        ids = torch.tensor([[tokenizer.encode(text).ids for text in row] for row in texts])
        names = {number for name in NANO_CLASSES for number in tokenizer.encode(name, add_special_tokens=False).ids}
        needed = torch.tensor(sorted(names | {SPECIAL_TOKENS.index(token) for token in SPECIAL_TOKENS}))
        return cls(ids, ~torch.isin(ids, needed))

    def draw(self, dice: torch.Generator) -> Tensor:
        """One caption per class in a random template. A few template words become unknown, so that other templates work too."""
        count, templates, _ = self.ids.shape
        chosen = torch.randint(templates, (count,), generator=dice)
        ids, spare = self.ids[torch.arange(count), chosen], self.spare[torch.arange(count), chosen]
        forgotten = spare & (torch.rand(ids.shape, generator=dice) < 0.15)
        return torch.where(forgotten, SPECIAL_TOKENS.index("<unknown>"), ids)
