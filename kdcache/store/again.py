"""Hints for people: how to build the missing parts of a cache.

Input: a cache and its plan. Output: a command or, for a cache that was not built with a teacher, what to run again.
"""

import shlex
from pathlib import Path

from kdcache.store.plan import Plan
from kdcache.views.recipe import Foreign


def way_to_build(cache: Path, plan: Plan) -> str:
    """The command that continues the build of a cache."""
    if isinstance(plan.views.recipe, Foreign):
        project = plan.views.recipe.project
        return f"run again what made it (`kd cache import {project}`, convert or merge), with --out {shlex.quote(str(cache))}"
    return f"kd cache build --out {shlex.quote(str(cache))}"


def way_to_mend(cache: Path, plan: Plan) -> str:
    """The command that repairs a damaged cache and builds the dropped parts again."""
    repair = f"kd cache repair {shlex.quote(str(cache))} --yes"
    return f"{repair}{'; then ' if isinstance(plan.views.recipe, Foreign) else ' && '}{way_to_build(cache, plan)}"
