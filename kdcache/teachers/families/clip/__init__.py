"""CLIP image towers with zero-shot logits, in the layouts of OpenAI, open_clip and transformers."""
