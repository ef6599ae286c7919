"""A compressed HDF5 part has the same bytes whether or not its filter is registered in the process that writes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.making import make_cache, make_plan

COMPRESSIONS = ("zstd:3", "blosc:5")
WRITE = """
import sys
from pathlib import Path
if sys.argv[2] == "registered":
    import hdf5plugin
from tests.store.test_filters import written
written(Path(sys.argv[1]))
"""


def written(folder: Path) -> None:
    for number, compression in enumerate(COMPRESSIONS):
        make_cache(folder / str(number), make_plan(backend="hdf5", compression=compression))


def parts(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.h5")}


def test_the_bytes_of_a_part_do_not_depend_on_the_plug_ins_of_the_process(tmp_path: Path) -> None:
    pytest.importorskip("hdf5plugin", reason="the filters of compressed HDF5 come from the extra `compress`")
    for which in ("registered", "unknown"):
        subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / which), which], check=True)
    assert len(parts(tmp_path / "unknown")) > len(COMPRESSIONS)
    assert parts(tmp_path / "registered") == parts(tmp_path / "unknown")
