"""How slow this core is: promises about seconds are meant for a usual one, and CPUs differ by a factor of two and more.

A limit times `slowness()` stays a promise about the code: on a slow or crowded core plain Python is slower as well.
"""

import time

USUAL = 0.033
"""Seconds of a usual core for the loop. Chosen, not measured on one: the limits hold by it on a Xeon of 2.0 GHz, whose loop takes
0.06 to 0.11 s from minute to minute, and on which the same code passed or failed with the limits unscaled.
"""


def slowness() -> float:
    """How many times longer than usual this core takes for plain Python; at least 1."""
    return max(1.0, sorted(_loop() for _ in range(7))[3] / USUAL)


def _loop() -> float:
    started, total = time.thread_time(), 0
    for number in range(400_000):
        total += number * number % 7
    return time.thread_time() - started
