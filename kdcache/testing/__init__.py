"""Contract suites that ship with the package: what a thing of another package must do to be plugged in here."""
