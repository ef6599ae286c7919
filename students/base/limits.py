"""Upper bounds on the options of a training, all far above what is used in practice."""

EPOCHS = 1_000_000
STEPS = 1_000_000_000
BATCH = 1 << 20
"""Largest number of images in a step."""
SIDE = 8192
"""Largest side length of a student's input, in pixels."""
REPEATS = 10_000
"""Largest number of times an arm of a comparison is run."""
CLASSES = 1_000_000
"""Largest number of classes for which `kd student show` displays a preset."""
JOB = 1_000_000_000_000
"""Largest number of images or students in a job whose cost is computed, and largest price of a device."""
