"""`kd doctor`: facts about this machine for a bug report."""

import typer

from cli.command import command
from cli.output import Ui
from cli.text import pairs, size

EXAMPLES = """
kd doctor
kd doctor --json
"""
LIBRARIES = (
    "kd-cache", "torch", "timm", "transformers", "numpy", "pillow", "pyarrow", "h5py", "zarr", "pydantic",
    "hdf5plugin", "datasets", "tensorstore",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "doctor", examples=EXAMPLES)(doctor)


def doctor(ui: Ui) -> None:
    """Print versions, devices and free disk, to paste into a bug report."""
    import os
    import platform
    import shutil
    import sys

    import torch

    found = {
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "free disk": size(shutil.disk_usage(os.curdir).free),
        "gpus": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none",
        **{name: _version(name) for name in LIBRARIES},
    }
    ui.answer(found, pairs(found.items()))


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
