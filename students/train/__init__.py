"""The training loop and its parts: batches, targets, optimiser, log, interrupts."""
