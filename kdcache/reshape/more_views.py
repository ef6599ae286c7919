"""Add views to the plan of an existing cache."""

from pathlib import Path

from kdcache.base import limits
from kdcache.errors import UsageError
from kdcache.store import Place, Store
from kdcache.store.plan import Plan
from kdcache.views.recipe import drawable


def add_views(where: Path | Place, count: int) -> Plan:
    """Add `count` views to the plan of a cache; the next build makes them. Built parts stay unchanged."""
    recipe = drawable(Store.open(where).plan.views.recipe)
    if recipe.kind == "plain":
        hint = "build another cache with --recipe augment"
        raise UsageError(f"{where} holds plain views, and an image has only one plain view", hint=hint)
    if count < 1:
        raise UsageError(f"cannot add {count} views", hint="give a number above 0")
    with Store.open(where).building():
        store = Store.open(where)  # opened under the lock, to include views that another process has added meanwhile
        if store.plan.views.count + count > limits.VIEWS:
            there, most = store.plan.views.count, limits.VIEWS
            message = f"{where} has {there:,} views: with {count:,} more it would have more than {most:,}"
            raise UsageError(message, hint="add fewer")
        return store.plan_views(store.plan.views.count + count)
