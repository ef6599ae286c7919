"""Check that a cache is still what was built: verify bytes, replay views, run the teacher again on samples; and repair it."""
