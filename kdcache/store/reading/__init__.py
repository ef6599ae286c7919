"""Fields of parts as arrays: mapped or decompressed, every block checked on first touch."""
