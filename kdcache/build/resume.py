"""Continue an existing cache from its plan alone, with the same source and the same teacher."""

from dataclasses import replace
from pathlib import Path

from kdcache.build.options import BuildOptions
from kdcache.build.prepare import Prepared, with_weights_of
from kdcache.errors import UsageError
from kdcache.images import open_source
from kdcache.store import Store
from kdcache.store.again import way_to_build
from kdcache.views.recipe import Foreign


def prepare_again(path: Path, options: BuildOptions) -> Prepared:
    """Open the source and the teacher of an existing cache again, and check that both still match the plan.

    Only these options have an effect: locations on this machine (data, weights, head), devices and workers.
    """
    from kdcache.teachers.reopen import reopen_teacher

    store = Store.open(path)
    plan = store.plan
    if isinstance(plan.views.recipe, Foreign):
        message = f"{path} was imported from another project: there is no teacher to build the rest with"
        raise UsageError(message, hint=way_to_build(path, plan))
    source = open_source(options.data or plan.dataset.source, like=plan.dataset.source)
    listing = source.scan()
    store.expect_images(source, listing, given=options.data)
    teacher = reopen_teacher(plan.teacher, device=options.device, weights=options.weights, head=options.head)
    found = with_weights_of(replace(options, teacher=plan.teacher.family), teacher.spec)
    return Prepared(found, path, plan, source, listing, teacher, None, store, ())
