"""One part on disk: written whole, receipt last, every block checked on first touch."""
