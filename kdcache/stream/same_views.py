"""Check that the teachers of two caches were shown the same views of the same files, and that the views are complete.

Input: stores of the same images. Output: nothing, or a Mismatch that names both stores.
"""

from collections.abc import Sequence

from kdcache.errors import Mismatch
from kdcache.store import Store
from kdcache.stream.examples import Rows


def expect_whole_views(stores: Sequence[Store], views: Sequence[int]) -> None:
    """Mismatch, naming the caches, if a view is incomplete in one of them."""
    for view in views:
        for store in stores:
            missing = len(store.plan.parts_of(view)) - len(store.built(view))
            if missing:
                others = ", ".join(str(other.path) for other in stores if other is not store)
                message = f"view {view} of {store.path} is not finished ({missing:,} parts are missing)"
                hint = "finish its build, or name other views: views=[…]"
                raise Mismatch(f"{message}, so it cannot be joined with that of {others}", hint=hint)


def expect_same_views(ours: Store, theirs: Store, rows: Rows | None) -> None:
    """Mismatch if the teachers cannot have been shown the same pixels of the same files."""
    plan, other, (here, there) = ours.plan, theirs.plan, (ours.path, theirs.path)
    hint = "join them with same_views=False if the teachers may see different views"
    if plan.views.recipe != other.views.recipe:
        mine, others = plan.views.recipe.plain(), other.views.recipe.plain()
        differing = [key for key in {**mine, **others} if mine.get(key) != others.get(key)]
        facts = "; ".join(f"{key} is {mine.get(key)!r} there, {others.get(key)!r} here" for key in differing[:3])
        raise Mismatch(f"{there} has other views than {here}: {facts}", hint=hint)
    if "seed" in plan.views.recipe.depends_on and plan.views.seed != other.views.seed:
        raise Mismatch(
            f"{there} has other views than {here}: seed is {plan.views.seed} there, {other.views.seed} here", hint=hint
        )
    if rows is not None and "row" in plan.views.recipe.depends_on:
        message = (
            f"{there} has other views than {here}: CutMix and MixUp partners depend on the row order, which differs"
        )
        raise Mismatch(message, hint=hint)
    if rows is None and plan.dataset.fingerprint != other.dataset.fingerprint:
        facts = f"fingerprint is {plan.dataset.fingerprint} there, {other.dataset.fingerprint} here"
        raise Mismatch(f"{there} has images with the same ids as {here}, but other files: {facts}", hint=hint)
