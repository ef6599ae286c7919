"""Pixels, and a way to open teachers from small checkpoints made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def pixels() -> Callable[..., Any]:
    """`pixels(count, size)`: the same random uint8 views every time."""
    import torch

    def make(count: int = 4, size: tuple[int, int] = (64, 64), seed: int = 1) -> Any:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=generator)

    return make


@pytest.fixture
def normal() -> Callable[..., Any]:
    """uint8 views -> what a network sees, computed the long way."""
    import torch

    def make(views: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
        scaled = views.permute(0, 3, 1, 2).double() / 255
        shape = (1, 3, 1, 1)
        return ((scaled - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)).float()

    return make


@pytest.fixture
def randomised() -> Callable[[Any], Any]:
    """Give every parameter and float buffer of a network random values, so that no layer is a no-op."""
    import torch

    def make(network: Any, seed: int = 2) -> Any:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():
                    noise = torch.randn(tensor.shape, generator=generator)
                    tensor.copy_(1 + 0.1 * noise if tensor.ndim == 1 else 0.08 * noise)
        return network.eval()

    return make


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`family("florence", tiny={...})`: add sizes to a family for one test."""
    from kdcache.teachers.loading import sizes

    facts = sizes.family_facts

    def add(name: str, **extra: dict[str, Any]) -> None:
        real = facts(name)
        preprocess = real.sizes[real.default].preprocess
        more = {
            key: sizes.Size(preprocess=preprocess.model_copy(update={"size": value.pop("size")}), architecture=value)
            for key, value in extra.items()
        }
        changed = real.model_copy(update={"sizes": {**real.sizes, **more}})
        for module in (f"families.{name}.tower", "loading.sizes"):
            monkeypatch.setattr(
                f"kdcache.teachers.{module}.family_facts", lambda asked: changed if asked == name else facts(asked)
            )

    return add


@pytest.fixture
def save() -> Callable[[dict[str, Any], Path], Path]:
    """Tensors -> a safetensors file."""
    from safetensors.torch import save_file

    def write(tensors: dict[str, Any], path: Path) -> Path:
        save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path)
        return path

    return write


@pytest.fixture
def openai() -> dict[str, Any]:
    """A small CLIP under the names of OpenAI and open_clip."""
    from tests.teachers.clip_paper import small_clip

    return small_clip()


@pytest.fixture
def open_clip_folder(openai: Any, save: Any, tmp_path: Path) -> Path:
    """The same as open_clip publishes it."""
    from tests.teachers.clip_paper import write_settings

    folder = tmp_path / "open_clip"
    folder.mkdir()
    save(openai, folder / "open_clip_model.safetensors")
    write_settings(folder)
    return folder
