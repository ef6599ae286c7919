"""Objectives: the losses of a training, one file each (registry.py)."""
