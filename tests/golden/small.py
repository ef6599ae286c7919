"""What goldens were made of, and are gone on with: few images, a short training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from kdcache.base.progress import Silent
from students.options import MachineOptions, TrainOptions
from students.train.start import start
from tests.golden import network as _network  # noqa: F401  (timm learns of it)

HERE = Path(__file__).parent
SHAPES = "shapes:count=40,size=32"
VAL = "shapes:split=val,count=20,size=32"
CPU = MachineOptions(device="cpu", workers=0)
VIEWS = ("crop.scale=[0.5,1.0]",)


def learn(
    out: Path, *, student: str, stop_at: int | None = None, weights: Any = None, data: Any = None, **more: Any
) -> Any:
    """A training of seven steps -> run."""
    options = TrainOptions(
        student=str(HERE / f"presets/{student}.yaml"), out=out, steps=7, batch=8, log_every=2, keep_every=100, **more
    )
    where = replace(CPU, stop_at=stop_at, weights=weights, data=data)
    return start(options, where, Silent()).run
