"""What a student costs: parameters, and multiply-adds for one image. Counted on shapes alone, nothing is computed."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from students.families.registry import build_student
from students.families.spec import StudentSpec


class Cost(NamedTuple):
    """Counted, not measured."""

    parameters: int
    macs: int
    """multiply-adds of convolutions and matrix products for one image"""


def student_cost(spec: StudentSpec) -> Cost:
    """Parameters and multiply-adds of a student."""
    with torch.device("meta"):
        network = build_student(spec).eval()
        pixels = torch.empty(1, 3, *spec.input)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(pixels)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)
