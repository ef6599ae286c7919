"""A run on disk: its record, metrics, checkpoints and weights."""
