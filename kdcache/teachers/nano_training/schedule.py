"""Length and learning rates of a training of a teacher in the package, and which pictures it sees when."""

from dataclasses import dataclass

from kdcache.teachers.nano import SIZE


@dataclass(frozen=True)
class Schedule:
    """Length and learning rates of a training, and its pictures."""

    epochs: int
    rate: float
    """Learning rate of AdamW, which trains convolutions, embeddings, heads and vectors."""
    matrix_rate: float = 6e-3
    """Learning rate of Muon, which trains the matrices inside the network."""
    batch: int = 64
    decay: float = 0.05
    warmup: float = 0.05
    """Length of the warm-up as a fraction of all steps."""
    alone: float = 0.2
    """Fraction of all steps during which isolated targets are gradually replaced by whole pictures."""
    sides: tuple[tuple[float, int], ...] = ((0.0, SIZE),)
    """Side lengths of the pictures, each with the fraction of the training at which it begins: small ones teach the same
    shapes in a small part of the time."""
    fresh: bool = False
    """Whether each portion has new pictures. Otherwise each epoch has those of `shapes`."""
    portion: int = 10_000
    """Number of new pictures that are in memory at a time."""
    passes: int = 3
    """Passes over each portion of new pictures, with other augmentation: painting a picture takes as long as a step on it."""

    def side_at(self, through: float) -> int:
        """Side length of the pictures after this fraction of the training."""
        return next(side for begins, side in reversed(self.sides) if begins <= through)
