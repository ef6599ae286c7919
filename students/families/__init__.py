"""The families of students, one folder each, and what they share."""
