"""In the place of a training, for processes that can import it."""

from pathlib import Path

from tests.experiments.trials import Found


def trained_once(work: Path, out: Path, arm: int, seed: int) -> Found:
    """Fails where it is called a second time."""
    (work / f"called-{arm}-{seed}").touch(exist_ok=False)
    return {"top1": arm + seed / 10}
