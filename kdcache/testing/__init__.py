"""Contract suites: tests that every codec, teacher, source, place, family and task must pass, also those of other packages.

A suite is a class of plain asserts. Derive from it in a test file, and provide the object to test.
"""
