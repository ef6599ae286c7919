"""What was read from the goldens when they were made: identities, digests of decoded rows, literal values."""

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from kdcache.base.digest import file_digest, json_digest
from kdcache.cache import Cache
from kdcache.codecs.distribution import TopK

FACTS = "facts.json"
ROWS = (0, 7)
"""whose values are written down"""


def machine() -> dict[str, str]:
    """Where sums come out the same to the last bit."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    named = [line.partition(": ")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": named[0] if named else platform.processor(),
        "kind": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }


def write_facts(root: Path) -> None:
    """Of everything under a folder of goldens."""
    caches = {path.name: facts_of(path) for path in sorted((root / "caches").iterdir())}
    runs = {path.name: weights_of(path) for path in sorted((root / "runs").iterdir())}
    whole = {"made": machine(), "root": str(root), "caches": caches, "runs": runs}
    (root / FACTS).write_text(json.dumps(whole, indent=1) + "\n")


def facts_of(path: Path) -> dict[str, Any]:
    """Of one cache, finished or not."""
    cache = Cache.open(path)
    built = [view for view in range(cache.views) if all(part.view != view for part in cache.missing)]
    return {
        "identity": cache.plan.identity,
        "rows": len(cache),
        "views": cache.views,
        "missing": [str(part) for part in cache.missing],
        "ids": json_digest(list(cache.ids)),
        "first": [cache.ids[0], cache.ids[1]],
        "labels": json_digest(None if cache.labels is None else cache.labels.tolist()),
        "classes": json_digest(cache.classes),
        "rejected": {str(view): cache.rejected(view).tolist() for view in built},
        "files": parts_of(path),
        "decoded": {str(view): decoded_digests(cache, view) for view in built},
        "values": {name: value for view in built[:1] for name, value in literal_values(cache, view).items()},
    }


def parts_of(path: Path) -> dict[str, str]:
    """Every file that parts are made of, receipts left out: they tell how long it took."""
    files = (file for folder in ("parts", "views") for file in sorted((path / folder).rglob("*")) if file.is_file())
    return {
        str(file.relative_to(path)): file_digest(file)
        for file in files
        if not (file.parts[len(path.parts)] == "parts" and file.suffix == ".json")
    }


def decoded_digests(cache: Cache, view: int) -> dict[str, str]:
    """Every good row of a view in order, decoded: signal -> xxh3-128."""
    states: dict[str, Any] = {}
    for batch in cache.stream(16, shuffle=False, views=[view]):
        for name, value in {"rows": np.asarray(batch.rows, "<i8"), **batch.decode()}.items():
            state = states.setdefault(name, xxhash.xxh3_128())
            for array in (value.ids, value.logp) if isinstance(value, TopK) else (value,):
                state.update(np.ascontiguousarray(array).tobytes())
    return {name: state.hexdigest() for name, state in states.items()}


def literal_values(cache: Cache, view: int) -> dict[str, Any]:
    """A few numbers a person can look at: signal -> row -> the first four values, or the likeliest classes."""
    rejected = set(cache.rejected(view).tolist())
    values: dict[str, Any] = {}
    for row in (row for row in ROWS if row not in rejected):
        for name, value in cache.get(cache.ids[row], view=view).items():
            few = value.ids[0].tolist() if isinstance(value, TopK) else np.asarray(value).reshape(-1)[:4].tolist()
            values.setdefault(name, {})[str(row)] = few
    return values


def weights_of(run: Path) -> dict[str, str]:
    """Every file of tensors in a run."""
    return {str(file.relative_to(run)): file_digest(file) for file in sorted(run.rglob("*.safetensors"))}
