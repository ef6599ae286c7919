"""Families of students, one folder each, and their common code."""
