import subprocess

import pytest

from tests.store.making import without_fsync as without_fsync


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of a size that can be changed."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)

    try:
        mount("size=1200k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs root")
    yield folder, mount
    subprocess.run(["umount", str(folder)], check=True)
