"""What a student is judged on, one file each, and what these share."""
