"""Promise 1: kill -9 at any moment; a rerun finishes with the same bytes as an undisturbed build."""

from pathlib import Path

import pytest

from tests.faults.killed_build import kill_and_finish


@pytest.mark.slow
def test_a_build_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    calm, killed, sealed = kill_and_finish(tmp_path, "hdf5", kills=3, seed=1)
    assert calm == killed
    assert sealed == sorted(sealed), "a sealed part was lost"
