"""A trained student for other programs."""
