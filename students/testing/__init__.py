"""Contract suites: what a family, an objective, a constraint or a task must keep, as tests that any package can run."""
