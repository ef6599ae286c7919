"""Convert prompts to token ids for a CLIP text tower."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.teachers.loading.sizes import family_facts

FILES = ("tokenizer.json", "vocab.json")
HUB_FILES = ("tokenizer*.json", "vocab.json", "merges.txt", "special_tokens*.json")


class Tokenizer:
    """The tokenizer in the folder of the weights, or the one that all of OpenAI's models share."""

    def __init__(self, folder: Path | None, config: Any) -> None:
        from transformers import AutoTokenizer

        if folder is None or not any((folder / name).is_file() for name in FILES):
            folder = _shared_tokenizer()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if len(self._tokenizer) > config.vocab_size:
            raise Mismatch(
                f"the tokenizer in {folder} knows {len(self._tokenizer)} tokens, but the text tower {config.vocab_size}"
            )
        self._context = config.max_position_embeddings

    def __call__(self, prompts: list[str]) -> dict[str, Tensor]:
        """Token ids and mask, padded to the context of the tower."""
        length: dict[str, Any] = {"padding": "max_length", "truncation": True, "max_length": self._context}
        encoded = self._tokenizer(prompts, return_tensors="pt", **length)
        return {key: encoded[key] for key in ("input_ids", "attention_mask")}

    def check_known(self, classes: Sequence[str]) -> None:
        """Refuse class names with words that are not in a small vocabulary, because these would all get the same token."""
        unknown = self._tokenizer.unk_token_id
        if unknown is None or unknown == self._tokenizer.eos_token_id:
            return
        for name in classes:
            if unknown in self._tokenizer(name)["input_ids"]:
                raise UsageError(
                    f"this text tower does not know the words of class {name!r}",
                    hint="choose a published --size, such as l14; or store --signal embedding; or fit a head on labelled "
                    "images with kd teacher fit-head --teacher clip, and give it with --head",
                )


def _shared_tokenizer() -> Path:
    from huggingface_hub import snapshot_download

    repo = family_facts("clip").sizes["l14"].hub
    assert repo is not None
    try:
        return Path(snapshot_download(repo, allow_patterns=list(HUB_FILES)))
    except OSError as error:
        raise Unavailable(
            f"the weights came without a tokenizer, and that of {repo} cannot be fetched",
            hint="put CLIP's tokenizer.json into the folder of the weights",
        ) from error
