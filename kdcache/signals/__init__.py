"""Signals and teachers as plain records: what a teacher emits, and which teacher it is. Reading them needs no teacher."""
