"""Does a build take longer than its teacher? Run by hand: `python -m tests.bench.overlap DIR [--teacher timm:resnet50]`.

A bare loop says batches that were rendered before; the build renders, says, codes and writes the same ones. The two take
turns, so that a machine whose speed drifts treats both alike. The goal is a ratio of 1.10 or less.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from kdcache.base.progress import Silent
from kdcache.build.options import BuildOptions
from kdcache.build.parts import batches_of
from kdcache.build.prepare import Prepared, prepare
from kdcache.build.run import build
from kdcache.build.view_pool import pool_of
from kdcache.signals.shown import Shown
from kdcache.store import Store


def bare_seconds(ready: Prepared, store: Store) -> float:
    """The teacher alone, over views that are in memory already."""
    import torch

    with pool_of(store, ready.source, 0) as pool:
        batches = [torch.from_numpy(r.pixels.copy()) for r in pool.batches(batches_of(store, store.plan.parts()))]
    start = time.perf_counter()
    for batch in batches:
        {name: values.cpu() for name, values in ready.teacher.emit(Shown(batch)).items()}
    return time.perf_counter() - start


def main() -> int:
    """Measure, print one JSON document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--teacher", default="timm:resnet50")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    options = BuildOptions(asked.teacher, weights="random", data=asked.data, signals=("embedding",), devices=("cpu",))
    bare, built = [], []
    for _ in range(asked.repeat):
        with tempfile.TemporaryDirectory() as folder:
            ready = prepare(options, Path(folder) / "cache")
            built.append(build(ready, progress=Silent()).seconds)
            bare.append(bare_seconds(ready, Store.open(ready.out)))
    ratios = [b / a for a, b in zip(bare, built, strict=True)]
    found = {"teacher": asked.teacher, "bare_s": bare, "build_s": built, "ratio_median": statistics.median(ratios)}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
