"""What the trainings of all nano teachers promise: the loss falls, and the seed alone decides the weights."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kdcache.base.progress import Progress, Silent
from kdcache.signals.teacher import Preprocess
from kdcache.teachers.nano_training.pictures import DrawnPictures
from kdcache.teachers.nano_training.portions import SamePictures
from kdcache.teachers.nano_training.saved import Saved
from kdcache.teachers.nano_training.schedule import Schedule
from kdcache.teachers.nano_training.trainer import Work

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


def work_of(
    pictures: DrawnPictures,
    pixels: Preprocess,
    recipe: Schedule,
    seed: int,
    progress: Progress,
    saved: Path | None = None,
) -> Work:
    """A training on these pictures, which are also the held-out ones; without `saved` its state goes nowhere."""
    kept = Saved(saved or Path("/dev/null/nowhere"), {"seed": str(seed)})
    if saved is None:
        kept.save = lambda done, state: None  # type: ignore[method-assign]
    return Work(pixels, SamePictures(pictures, recipe.epochs), pictures, recipe, seed, kept, progress)
