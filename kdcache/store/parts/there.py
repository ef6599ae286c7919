"""Find out from file names alone which parts of a cache exist, and which names belong to no part.

The cost depends on what exists, not on the plan: a plan may have millions of parts of which none is built.
"""

import re
from collections.abc import Iterator

from kdcache.codecs.codec import Field
from kdcache.store.backends.choose import backend_of
from kdcache.store.parts.check import Finding
from kdcache.store.places.place import Place
from kdcache.store.plan import PartId, Plan

PARTS, VIEWS = "parts", "views"
_VIEW = re.compile(r"v(\d{3,9})(?:\.zarr)?")
_RECEIPT = re.compile(r"(\d{6,9})\.json")
_PART = re.compile(r"parts/v(\d{3,9})/(\d{6,9})\.")
_SHARD = re.compile(r"views/v(\d{3,9})\.zarr/[^/]+/c\.(\d{1,9})(?:\.0)*")


def receipt_name(part: PartId) -> str:
    """Name of the receipt of a part, which is the same for all backends."""
    return f"{PARTS}/{part}.json"


def names_of(plan: Plan, fields: dict[str, Field], part: PartId) -> list[str]:
    """Names of the receipt and the files of a part."""
    backend = backend_of(plan)
    return [receipt_name(part), *dict.fromkeys(backend.path(part, field) for field in fields.values())]


def receipts_there(cache: Place, plan: Plan, view: int | None = None) -> Iterator[PartId]:
    """Yield the parts that have a receipt, in build order; of one view, or of all views."""
    for number in sorted(_views_in(cache, PARTS, plan)) if view is None else [view]:
        names = set(cache.list(f"{PARTS}/v{number:03d}"))
        found = (int(match[1]) for name in names if (match := _RECEIPT.fullmatch(name)))
        parts = [PartId(number, part) for part in sorted(found) if part < plan.parts_per_view]
        yield from (part for part in parts if receipt_name(part).rpartition("/")[2] in names)


def built_parts(cache: Place, plan: Plan, fields: dict[str, Field], view: int | None = None) -> Iterator[PartId]:
    """Yield the parts whose receipt and files all exist, in build order."""
    names: dict[str, set[str]] = {}

    def there(path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if folder not in names:
            names[folder] = set(cache.list(folder))
        return name in names[folder]

    for part in receipts_there(cache, plan, view):
        if all(map(there, names_of(plan, fields, part))):
            yield part


def views_there(cache: Place, plan: Plan) -> list[int]:
    """Views that have a folder."""
    return sorted(_views_in(cache, PARTS, plan) | _views_in(cache, VIEWS, plan))


def strays(cache: Place, plan: Plan, fields: dict[str, Field]) -> list[Finding]:
    """Findings about names among the parts that do not follow from the plan. Such files are reported and never used."""
    frames = {name for view in views_there(cache, plan) for name in backend_of(plan).frame(plan, view)}
    found = []
    for folder in (PARTS, VIEWS):
        for name, what in cache.walk(folder):
            if what == "folder" or name in frames or _belongs(plan, fields, name):
                continue
            found.append(Finding(None, None, None, f"{name} does not belong to this cache", name, "stray"))
    return found


def links(cache: Place) -> list[Finding]:
    """Findings about links, pipes and devices: kd does not read them, but a program that copies the cache may."""
    found = []
    for name, what in cache.walk():
        if what in ("link", "other"):
            description = "a link" if what == "link" else "a pipe, a socket or a device"
            found.append(Finding(None, None, None, f"{name} is {description}", name))
    return found


def _belongs(plan: Plan, fields: dict[str, Field], name: str) -> bool:
    """Whether a built part can have a file of that name."""
    found = _PART.match(name) or _SHARD.fullmatch(name)
    if found is None:
        return False
    part = PartId(int(found[1]), int(found[2]))
    return part in plan.parts() and name in names_of(plan, fields, part)


def _views_in(cache: Place, folder: str, plan: Plan) -> set[int]:
    numbers = {int(found[1]) for name in cache.list(folder) if (found := _VIEW.fullmatch(name))}
    return {number for number in numbers if number < plan.views.count}
