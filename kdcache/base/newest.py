"""The cache that is used when none is named: the newest under ./kd/caches."""

from pathlib import Path

from kdcache.errors import UsageError

CACHES = Path("kd/caches")


def newest_cache(root: Path = CACHES) -> Path:
    """The cache whose plan was written last; UsageError when there is none."""
    plans = [path for path in root.glob("*/plan.json") if path.is_file()]
    if not plans:
        raise UsageError(
            f"no cache was named, and no cache was found in ./{root}", hint="kd cache build --teacher florence"
        )
    return max(plans, key=lambda path: (path.stat().st_mtime_ns, path.name)).parent
