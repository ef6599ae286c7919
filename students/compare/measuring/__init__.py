"""Run one arm of a comparison in a process of its own and measure time, memory and energy."""
