"""What the trainings of all nano teachers promise: the loss falls, and the seed alone decides the weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kdcache.base.progress import Progress, Silent

if TYPE_CHECKING:
    from torch import Tensor, nn


class Listening(Silent):
    """Keeps the mean loss of every epoch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def note(self, text: str) -> None:
        self.losses.append(float(text.rpartition(" ")[2]))


def assert_learns_and_repeats_itself(train: "Callable[[int, Progress], nn.Module]", *, least: float) -> None:
    """`train(seed, progress)` lowers the loss by `least`; the same seed gives the same weights, another seed others."""
    import torch

    def trained(seed: int) -> "tuple[Tensor, list[float]]":
        torch.manual_seed(seed)
        progress = Listening()
        network = train(seed, progress)
        return torch.cat([value.flatten() for value in network.parameters()]), progress.losses

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        (first, losses), (again, _), (other, _) = trained(0), trained(0), trained(1)
    finally:
        torch.set_num_threads(threads)
    assert losses[-1] < losses[0] - least
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
