"""The training loop and all it uses: batches, targets, optimiser, log, interrupts."""
