"""How the nano teachers that ship in the package were trained."""
