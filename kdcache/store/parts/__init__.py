"""One part on disk: written whole, receipt last, every block checked when it is first read."""
