"""Choose the backend that writes the parts of a plan."""

from kdcache.store.backends.backend import Backend
from kdcache.store.plan import Plan


def backend_of(plan: Plan) -> Backend:
    """The backend of a plan."""
    if plan.layout.backend == "zarr":
        from kdcache.store.backends.zarr import Zarr

        return Zarr()
    from kdcache.store.backends.hdf5 import Hdf5

    return Hdf5()
