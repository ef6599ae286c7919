"""Judging students and teachers: images as they see them, what their heads say, and the tasks they are judged by."""
