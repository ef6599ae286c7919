"""Change a cache without its teacher: another codec or backend, fewer signals, more views, parts merged."""
