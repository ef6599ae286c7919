"""What everything stands on: atomic files, locks, digests, seeded random numbers, strict records, tensors, plugins."""
