"""Hints for drift: what has changed when rendering or the teacher gives other results than when the cache was made.

Nothing on disk is damaged then, so there is nothing to repair: either undo the change, or build a new cache.
"""

from pathlib import Path

from kdcache.base.versions import way_back
from kdcache.store.plan import Plan

ANEW = "build a new cache: run the command of this one with another --out"


def pixels_hint(path: Path, plan: Plan) -> str:
    """Hint when views render to other pixels than the teacher was shown."""
    libraries = way_back(plan.versions, numbers=False)
    if libraries is not None:
        return f"since {path} was planned, {libraries}: the likely cause. Install that version, or {ANEW}"
    return f"no library that {path} names has changed, so the images have: restore them as they were, or {ANEW}"


def teacher_hint(path: Path, plan: Plan) -> str:
    """Hint when the teacher emits other values for the same pixels."""
    libraries = way_back(plan.versions, numbers=True)
    if libraries is not None:
        return f"since {path} was planned, {libraries}: the likely cause. Install that version, or {ANEW}"
    return (
        f"no library that {path} names has changed, but results differ between devices: verify on the --device it was "
        f"built on, allow more with --tolerance X, or {ANEW}"
    )
