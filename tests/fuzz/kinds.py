"""Files and folders of a cache that are something else: pipes, links that lead elsewhere or nowhere, devices, nothing."""

import os
import shutil
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.caches import Loose, files_of, golden_caches
from tests.fuzz.case import Case

KINDS = (
    "fifo",
    "link-out",
    "link-victim",
    "link-loop",
    "link-folder",
    "folder",
    "empty",
    "missing",
    "unreadable",
    "zero-device",
)


@st.composite
def kind_cases(draw: st.DrawFn) -> Case:
    """A file or folder of a cache is something else."""
    golden = draw(golden_caches())
    places = [
        *files_of(golden, "**/*"),
        "locks",
        "parts",
        "parts/v000",
        "views",
        "views/v000.zarr",
        "locks/share-1-of-2.lock",
    ]
    return Case("kinds", golden, draw(st.sampled_from(places)), ({"how": draw(st.sampled_from(KINDS))},))


def change_kind(case: Case, cache: Path, box: Path) -> Loose:
    path, how = cache / case.file, case.changes[0]["how"]
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.read_bytes() if path.is_file() else b""
    if path.is_dir():
        shutil.copytree(path, box / "elsewhere")
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if how == "fifo":
        os.mkfifo(path)
    elif how == "link-out":
        (box / "outside.bin").write_bytes(kept)
        path.symlink_to(box / "outside.bin")
    elif how == "link-victim":
        path.symlink_to(box / "victim/canary")
    elif how == "link-loop":
        path.symlink_to(path)
    elif how == "link-folder":
        (box / "elsewhere").mkdir(exist_ok=True)
        path.symlink_to(box / "elsewhere")
    elif how == "zero-device":
        path.symlink_to("/dev/zero")
    elif how == "folder":
        path.mkdir()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "unreadable":
        path.write_bytes(kept)
        path.chmod(0)
    return False
