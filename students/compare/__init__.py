"""Does a cache pay, on this machine, for this job? Runs the same training in several ways and computes the cost."""
