"""Render the views of a cache as its plan states, for the build and for every later check."""

from kdcache.images.source import Source
from kdcache.render import RenderPool
from kdcache.signals.shown import needed_tokens
from kdcache.store import Store
from kdcache.views.recipe import drawable


def pool_of(store: Store, source: Source, workers: int) -> RenderPool:
    """A pool of processes that renders the views of a cache, in batches of the size in its plan."""
    plan = store.plan
    return RenderPool(
        source,
        drawable(plan.views.recipe),
        seed=plan.views.seed,
        size=plan.teacher.preprocess.size,
        ids=store.index.ids,
        workers=workers,
        batch=plan.batch,
        tokens=None if plan.teacher.reads is None else needed_tokens(source),
    )
