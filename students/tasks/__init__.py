"""Tasks that students and teachers are judged on: one file or folder each, which declares it as `TASK`."""
