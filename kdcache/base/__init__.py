"""The foundation of `kdcache`: atomic files, locks, digests, seeded random numbers, strict records, tensors, plugins."""
