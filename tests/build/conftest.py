"""A small teacher, a folder of images, and a cache built from both: shared by the tests of build, verify and reshape."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from kdcache.build.options import BuildOptions
from kdcache.build.prepare import Prepared, prepare
from kdcache.signals.shown import Shown
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.views.recipe import Plain

if TYPE_CHECKING:
    import torch

CLASSES = 20
DIM = 12


class Listener:
    """A teacher without a network: fixed projections of the pixels. Remembers the batches it saw."""

    def __init__(self, signals: tuple[str, ...]) -> None:
        import torch

        draw = torch.Generator().manual_seed(0)
        self._logits = torch.randn(48, CLASSES, generator=draw) * 4
        self._dense = torch.randn(48, DIM, generator=draw)
        known = {
            "logits": Signal(name="logits", shape=(CLASSES,)),
            "embedding": Signal(name="embedding", shape=(DIM,)),
            "features": Signal(name="features", shape=(16, 3), grid=(4, 4)),
        }
        self.spec = TeacherSpec(
            family="listener",
            size="nano",
            weights=Weights(source="package:listener", sha256="0" * 64),
            preprocess=Preprocess(
                size=(16, 16), geometry=Plain(fit="squash"), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
            ),
            signals=tuple(known[name] for name in signals),
            taps=dict.fromkeys(signals, "a projection"),
            classes=tuple(f"class {n}" for n in range(CLASSES)) if "logits" in signals else None,
        )
        self.batches: list[int] = []
        self.memory: int | None = None

    def emit(self, shown: Shown) -> dict[str, "torch.Tensor"]:
        import torch

        pixels = shown.pixels
        if self.memory is not None and len(pixels) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(pixels))
        cells = pixels.float().unfold(1, 4, 4).unfold(2, 4, 4).mean((-1, -2)) / 127.5 - 1
        flat = cells.reshape(len(pixels), 48)
        signals = {"logits": flat @ self._logits, "embedding": flat @ self._dense, "features": flat.reshape(-1, 16, 3)}
        return {s.name: signals[s.name].contiguous() for s in self.spec.signals}


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> type[Listener]:
    """`open_teacher` gives a Listener, whatever is asked for."""
    from kdcache.teachers import registry as teachers

    def open_listener(name: str, *, signals: tuple[str, ...] = ("logits",), **_: object) -> Listener:
        return Listener(signals)

    from kdcache.teachers import reopen  # before its opener is exchanged: it would keep the other one for good

    monkeypatch.setattr(teachers, "open_teacher", open_listener, raising=False)
    monkeypatch.setattr(reopen, "open_teacher", open_listener)
    return Listener


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """100 small images in two class folders, one of them broken."""
    folder = tmp_path / "images"
    noise = np.random.default_rng(0)
    for row in range(100):
        path = folder / ("cats", "dogs")[row % 2] / f"{row:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (20 + row % 7, 24, 3), np.uint8)).save(path)
    (folder / "dogs" / "031.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    return folder


def options(images: Path, **changes: object) -> BuildOptions:
    """A small build on this machine's CPU, rendered in this process."""
    usual: dict[str, Any] = {
        "teacher": "florence",
        "size": "nano",
        "data": str(images),
        "batch": 8,
        "workers": 0,
        "devices": ("cpu",),
        "part_rows": 16,
    }
    return BuildOptions(**(usual | changes))


def prepared(images: Path, out: Path, **changes: object) -> Prepared:
    """The same, prepared."""
    return prepare(options(images, **changes), out)
