"""Is the cache worth it, here, for me? The same training several ways, side by side, measured and added up."""
