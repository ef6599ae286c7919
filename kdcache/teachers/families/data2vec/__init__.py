"""data2vec 2.0 image models and their checkpoints."""
