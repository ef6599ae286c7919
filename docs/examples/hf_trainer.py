"""Distil a cache into a network of transformers with its Trainer: python docs/examples/hf_trainer.py CACHE

The cache needs the signal `logits`.
"""

import sys
import tempfile

import torch
from transformers import ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments

from kdcache import Cache
from kdcache.errors import KDError


class Distil(Trainer):
    """Learns the teacher's distribution over classes."""

    def compute_loss(self, model: torch.nn.Module, inputs: dict, return_outputs: bool = False, **_: object) -> object:
        """Cross-entropy against what the cache holds."""
        output = model(pixel_values=inputs["pixels"] / 255)
        loss = torch.nn.functional.cross_entropy(output.logits, inputs["targets"]["logits"])
        return (loss, output) if return_outputs else loss


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/examples/hf_trainer.py CACHE")
    try:
        cache = Cache.open(sys.argv[1])
        data = cache.dataset(signals=["logits"])
    except KDError as error:
        sys.exit("; ".join(filter(None, (str(error), error.hint))))
    classes = cache.plan.codecs()["logits"].signal.shape[0]
    shape = {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"}
    student = ResNetForImageClassification(ResNetConfig(num_labels=classes, **shape))
    how = {"per_device_train_batch_size": 64, "num_train_epochs": 2, "learning_rate": 1e-2, "report_to": []}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(folder, remove_unused_columns=False, save_strategy="no", **how)
        result = Distil(student, arguments, data_collator=data.collate, train_dataset=data).train()
    print(f"{result.global_step} steps, loss {result.training_loss:.3f}")
