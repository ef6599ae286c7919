"""Cost of a student: parameters, and multiply-adds for one image, counted on torch's meta device."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from students.families.registry import build_student, heads
from students.families.spec import StudentSpec


class Cost(NamedTuple):
    """Counts of one student."""

    parameters: int
    """Parameters of the network, frozen ones included."""
    macs: int
    """Multiply-adds of convolutions and matrix products for one image through the student's main head."""


def student_cost(spec: StudentSpec) -> Cost:
    """Parameters and multiply-adds of a student."""
    with torch.device("meta"):
        network = build_student(spec).eval()
        pixels = torch.empty(1, 3, *spec.input)
    first = next(iter(heads(spec, network).values()))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        first(pixels)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)
