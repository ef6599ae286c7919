"""What a student is asked to match, one file each."""
