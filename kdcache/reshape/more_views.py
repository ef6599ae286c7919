"""Plan more views of a cache that is there."""

from pathlib import Path

from kdcache.base import limits
from kdcache.errors import UsageError
from kdcache.store import Place, Store
from kdcache.store.plan import Plan
from kdcache.views.recipe import drawable


def add_views(where: Path | Place, count: int) -> Plan:
    """Plan `count` more views of a cache; a build then makes them. What is there stays as it is."""
    recipe = drawable(Store.open(where).plan.views.recipe)
    if recipe.kind == "plain":
        hint = "build another cache with --recipe augment"
        raise UsageError(f"{where} holds plain views, and there is only one plain view of an image", hint=hint)
    if count < 1:
        raise UsageError(f"cannot add {count} views", hint="give a number above 0")
    with Store.open(where).building():
        store = Store.open(where)  # what another has planned in the meantime counts
        if store.plan.views.count + count > limits.VIEWS:
            there, most = store.plan.views.count, limits.VIEWS
            message = f"{where} has {there:,} views: with {count:,} more it would have more than {most:,}"
            raise UsageError(message, hint="add fewer")
        return store.plan_views(store.plan.views.count + count)
