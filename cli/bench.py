"""`kd bench`: how fast this machine reads."""

from cli.command import group

app = group("Measure this machine.")
