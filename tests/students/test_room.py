"""Whether there is room for a training: what the run has already is written over, and counts as free."""

from collections import namedtuple
from pathlib import Path

import pytest
import torch

from kdcache.errors import StorageError
from students.runs.checkpoint import Parts
from students.runs.record import Pacing
from students.train.room import check_room

PACING = Pacing(steps=1, steps_an_epoch=1, micro=1, views=None, log_every=1, validate_every=1, keep_every=1)
MB = 1_000_000
ENOUGH = 2 * MB
"""more than a training of six numbers needs"""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> object:
    """A function that says how much of the disk is free from now on."""
    usage = namedtuple("usage", "total used free")

    def free(nbytes: int) -> None:
        monkeypatch.setattr("students.train.room.shutil.disk_usage", lambda _: usage(0, 0, nbytes))

    return free


@pytest.mark.parametrize("name", ["checkpoints/00000001/model.safetensors", "best.safetensors"])
def test_a_run_goes_on_where_only_what_it_has_already_makes_it_fit(tmp_path: Path, disk, name: str) -> None:
    network = torch.nn.Linear(2, 2)
    parts = Parts(network, None, (torch.optim.AdamW(network.parameters()),), torch.nn.ModuleDict())
    disk(ENOUGH)
    check_room(tmp_path, parts, PACING)
    disk(0)
    with pytest.raises(StorageError, match="has room for"):
        check_room(tmp_path, parts, PACING)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(bytes(ENOUGH))
    check_room(tmp_path, parts, PACING)
