"""Read weights, settings and preprocessing in the formats of their publishers."""
