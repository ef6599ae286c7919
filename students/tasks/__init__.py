"""What students and teachers are judged on: a file or a folder here is a task, which its name `TASK` declares."""
