"""Class logits for a teacher without a classifier: fitted heads and zero-shot text embeddings."""
