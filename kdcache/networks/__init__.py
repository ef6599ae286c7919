"""Networks that a teacher and a student share."""
