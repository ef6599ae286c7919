"""Constraints: conditions enforced while a student is trained, one file each (registry.py)."""
