"""Does a cache pay, on this machine, for this job? The same training run several ways, measured, and its costs added up."""
