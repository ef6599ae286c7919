"""Builds that are killed with -9 at random moments and run again until they are whole.

As a test: a few kills. By hand, many: `python -m tests.faults.killed_build --kills 10 --format zarr`.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = (
    "cache build --teacher timm:test_vit --weights random --signal embedding,features --data shapes:count=600,size=32"
    " --recipe augment --views 2 --batch 8 --part-rows 40 --workers 1 --device cpu -q"
)
START = [sys.executable, "-c", "from cli import main; main()"]


def build(out: Path, form: str) -> subprocess.Popen[bytes]:
    """Start a build as a process of its own."""
    return subprocess.Popen([*START, *WORDS.split(), "--format", form, "--out", str(out)])


def content(cache: Path) -> dict[str, bytes]:
    """Every file but locks and receipts, which tell who built a part and in how many seconds."""
    files = {str(path.relative_to(cache)): path for path in sorted(cache.rglob("*")) if path.is_file()}
    kept = {
        n: p
        for n, p in files.items()
        if not n.startswith("locks/") and not (n.startswith("parts/") and p.suffix == ".json")
    }
    return {name: path.read_bytes() for name, path in kept.items()}


def parts_of(cache: Path) -> int:
    """Parts that have their receipt."""
    return len(list((cache / "parts").rglob("*.json")))


def kill_and_finish(
    folder: Path, form: str, kills: int, seed: int
) -> tuple[dict[str, bytes], dict[str, bytes], list[int]]:
    """An undisturbed build, a killed and resumed one, and how many parts each kill found sealed."""
    assert build(folder / "calm", form).wait() == 0
    dice, sealed = random.Random(seed), []
    for _ in range(kills):
        process = build(folder / "killed", form)
        # Start-up differs from run to run, so the moment is counted from the parts: after a few more, somewhere in the next.
        wanted = parts_of(folder / "killed") + dice.randrange(4)
        while process.poll() is None and parts_of(folder / "killed") < wanted:
            time.sleep(0.005)
        time.sleep(dice.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        sealed.append(parts_of(folder / "killed"))
    assert build(folder / "killed", form).wait() == 0
    return content(folder / "calm"), content(folder / "killed"), sealed


def main() -> int:
    """Kill many builds and say what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--format", default="hdf5")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calm, killed, sealed = kill_and_finish(Path(folder), asked.format, asked.kills, asked.seed)
    same = calm == killed
    sys.stdout.write(f"parts sealed at each kill: {sealed}; files: {len(calm)}; same bytes: {same}\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
