"""Contract suites: what every codec, teacher, source, place, family and task must keep, as tests that other packages can run too.

A suite is a class of plain asserts. Derive from it in a file of tests, and say what it shall be run on.
"""
