"""Judging students and teachers: rendered images, outputs of their heads, and the registry of tasks."""
