"""The families of teachers, one file or folder each."""
