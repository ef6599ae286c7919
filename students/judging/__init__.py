"""Judging students and teachers: renders images, runs heads on them, and holds the registry of tasks."""
