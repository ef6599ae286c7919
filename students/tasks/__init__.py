"""Tasks, which judge students and teachers: one file or folder each, which declares its task as `TASK`."""
