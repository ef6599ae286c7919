"""The training of the nano teachers whose weights ship in the package."""
