"""Drift: images, libraries or a teacher no longer give what they gave when a cache was made. What has changed, and the ways out.

Nothing on disk is damaged then, so nothing is to be repaired: either what has changed is brought back, or a new cache is built.
"""

from pathlib import Path

from kdcache.base.versions import way_back
from kdcache.store.plan import Plan

ANEW = "build a new cache: the command of this one with another --out"


def pixels_hint(path: Path, plan: Plan) -> str:
    """The ways out where views render to other pixels than the teacher saw."""
    libraries = way_back(plan.versions, numbers=False)
    if libraries is not None:
        return f"since {path} was planned, {libraries}: the likely cause. Bring that back, or {ANEW}"
    return f"no library that {path} names has changed, so the images have: bring them back as they were, or {ANEW}"


def teacher_hint(path: Path, plan: Plan) -> str:
    """Hints for a teacher that emits other values for the same pixels."""
    libraries = way_back(plan.versions, numbers=True)
    if libraries is not None:
        return f"since {path} was planned, {libraries}: the likely cause. Bring that back, or {ANEW}"
    return (
        f"no library that {path} names has changed, but another device computes other numbers: verify on the --device it was "
        f"built on, allow more with --tolerance X, or {ANEW}"
    )
