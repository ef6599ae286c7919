"""Contract suites: what a family, an objective or a constraint must keep, as tests that any package can run on its own."""
