"""What is held true while a student is trained: one file a constraint, found by its name (registry.py)."""
