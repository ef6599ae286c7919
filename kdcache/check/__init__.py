"""Is a cache still what was built? Verify bytes, replay views, run the teacher again on samples, repair."""
