"""What a training may be asked for, at most. All is far above what anybody has trained."""

EPOCHS = 1_000_000
STEPS = 1_000_000_000
BATCH = 1 << 20
"""images of a step"""
SIDE = 8192
"""Largest side length of a student's input, in pixels."""
REPEATS = 10_000
"""how often an arm of a comparison is run"""
CLASSES = 1_000_000
"""that a preset is shown with"""
JOB = 1_000_000_000_000
"""epochs, students, money of a job that costs are added up for"""
