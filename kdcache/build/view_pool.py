"""The views of a cache, rendered as its plan states: for the build that stores the signals of them, and every check later."""

from kdcache.images.source import Source
from kdcache.render import RenderPool
from kdcache.signals.shown import needed_tokens
from kdcache.store import Store
from kdcache.views.recipe import drawable


def pool_of(store: Store, source: Source, workers: int) -> RenderPool:
    """A render pool for the views of a cache, in batches of its plan's size."""
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
