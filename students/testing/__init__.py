"""Contract suites: tests of the promises of families, objectives, constraints and tasks, for any package to run."""
