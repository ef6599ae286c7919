"""Read fields of parts as arrays: mapped or decompressed, every block checked when it is first read."""
