"""What a student is trained to match: one file an objective, found by its name (registry.py)."""
