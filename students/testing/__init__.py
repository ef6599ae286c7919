"""Suites of tests that every student family must pass, for pytest: subclass one and say what is tested."""
