"""Upper bounds of what a training may be started with. All are far above what anybody has trained."""

EPOCHS = 1_000_000
STEPS = 1_000_000_000
BATCH = 1 << 20
"""Largest number of images in a step."""
SIDE = 8192
"""Largest side length of a student's input, in pixels."""
REPEATS = 10_000
"""Largest number of times an arm of a comparison is run."""
CLASSES = 1_000_000
"""Largest number of classes `kd student show` lays a preset out for."""
JOB = 1_000_000_000_000
"""Largest number of images or students in a job whose costs are added up, and largest price of a device."""
