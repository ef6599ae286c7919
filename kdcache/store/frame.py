"""The files of a cache besides its parts: plan.json, index.arrow, and the files that Zarr needs to open a view."""

from collections.abc import Callable

from pydantic import ValidationError

from kdcache.base.limits import RECORD_BYTES
from kdcache.base.plain_json import beyond_reading
from kdcache.base.strict import first_mistake
from kdcache.errors import Damage, Mismatch, UsageError
from kdcache.store.arrow import index_file_digest
from kdcache.store.backends.choose import backend_of
from kdcache.store.bounds import unfit
from kdcache.store.differences import described, differences
from kdcache.store.index import Index, Write
from kdcache.store.locks import FOLDER, turn
from kdcache.store.parts.check import Finding, finding_of
from kdcache.store.parts.there import views_there
from kdcache.store.places.place import Place
from kdcache.store.plan import FORMAT, Plan
from kdcache.store.self_checked import seal, unseal

PLAN, INDEX = "plan.json", "index.arrow"
NEWER = "use the release of this program that made it, or a newer one"
REPLACE = "copy plan.json from another copy of this cache, or build the cache again"


def read_plan(cache: Place) -> Plan:
    """Read and check the plan of a cache; Damage, Mismatch or UsageError if it cannot be used."""
    path = cache.at(PLAN)
    try:
        raw = cache.read(PLAN, RECORD_BYTES)
    except FileNotFoundError:
        hint = "`kd cache build --out` makes one"
        raise UsageError(f"{cache} is not a cache: it has no plan.json", hint=hint) from None
    record = unseal(raw, path, hint=REPLACE)
    if record.get("format") != FORMAT:
        message = f"{cache} has cache format {record.get('format')}, this program reads format {FORMAT}"
        raise Mismatch(message, hint=NEWER, path=path)
    identity = record.pop("identity", None)
    try:
        plan = Plan.from_plain(record)
    except ValidationError as error:
        place, wanted = first_mistake(error)
        message = f"{path} is not a plan this program knows: {place or 'the whole'}: {wanted}"
        raise Mismatch(message, hint=NEWER, path=path) from error
    if (fault := unfit(plan)) is not None:
        hint = "copy the cache again from its source, or build it again"
        raise Mismatch(f"{path} is not a usable plan: {fault}", hint=hint, path=path)
    if plan.identity != identity:
        message = f"{path} was written with identity {identity}, this program reads {plan.identity} from it"
        raise Mismatch(message, hint=NEWER, path=path)
    return plan


def replace_plan(cache: Place, plan: Plan) -> None:
    """Write plan.json, replacing an older one in one step."""
    cache.replace(PLAN, [_sealed(plan)])


def _sealed(plan: Plan) -> bytes:
    """The bytes of a plan's file; UsageError if they could not be read back."""
    plain = {"identity": plan.identity} | plan.plain()
    raw, fault = seal(plain, indent=2), unfit(plan)
    if fault is None and len(raw) > RECORD_BYTES:
        fault = f"it has {len(raw):,} bytes, at most {RECORD_BYTES:,} are read back"
    if fault is None and (too_much := beyond_reading(plain, raw)) is not None:
        fault = f"it has {too_much}"
    if fault is not None:
        raise UsageError(f"no cache can have such a plan: {fault}", hint="SECURITY.md lists how large a cache may be")
    return raw


def create_frame(cache: Place, plan: Plan, index_into: Callable[[Write], None], there: Plan | None = None) -> None:
    """Write plan and index into a new folder, or check that existing ones are the same.

    `there`: the existing plan, if it was read before.
    """
    sealed = _sealed(plan)
    if _is_there(cache, plan, there):
        return
    if not _has_plan(cache) and _is_taken(cache):
        raise UsageError(f"{cache} is not empty and not a cache", hint="choose another folder with --out")
    with cache.draft(INDEX) as file:
        index_into(file.write)
        file.flush()
        if file.digest != plan.dataset.index_digest:
            message = f"the listing has index digest {file.digest}, but the plan has {plan.dataset.index_digest}"
            raise Mismatch(message, hint="the dataset changed in the meantime; run the same command again")
        with turn(cache):  # if two start at the same time, the second one finds the plan of the first
            if _is_there(cache, plan):
                return
            cache.put_new(PLAN, [sealed])
            file.commit()
    cache.settle([INDEX])


def _is_there(cache: Place, plan: Plan, there: Plan | None = None) -> bool:
    """Whether plan and index exist and match; Mismatch if the existing plan is a different one."""
    if not _has_plan(cache):
        return False
    _same_or_refuse(cache, there or read_plan(cache), plan)
    return cache.kind(INDEX) == "file" and index_file_digest(cache, INDEX) == plan.dataset.index_digest


def expect_plan(cache: Place, plan: Plan) -> None:
    """Mismatch if the cache no longer has this plan."""
    if read_plan(cache).plain() != plan.plain():
        message = f"the plan of {cache} was changed or replaced after it was read"
        raise Mismatch(message, hint="run the same command again", path=cache.at(PLAN))


def _has_plan(cache: Place) -> bool:
    """Whether anything exists at plan.json; if it is not a plan, reading it reports that."""
    return cache.kind(PLAN) is not None


def _is_taken(cache: Place) -> bool:
    """Whether a folder has any content except leftovers of an interrupted creation."""
    return any(name != FOLDER for name in cache.list())


def _same_or_refuse(cache: Place, old: Plan, new: Plan) -> None:
    found = differences(old.essence(), new.essence())
    if found:
        hint = "choose another folder with --out, or use the settings of the cache that is there"
        raise Mismatch(
            f"{cache} holds another cache: {described(found)}", hint=hint, differences=[path for path, *_ in found]
        )
    if old.views.count != new.views.count:
        counts = f"views.count is {old.views.count} there, {new.views.count} here"
        hint = "`kd cache add-views` plans more views of a cache"
        raise Mismatch(f"{cache} holds another cache: {counts}", hint=hint, differences=["views.count"])


def restore_view_files(cache: Place, plan: Plan, view: int) -> None:
    """Write the files of a view that depend only on the plan, if they are missing or wrong."""
    for name, content in backend_of(plan).frame(plan, view).items():
        if not _holds(cache, name, content):
            cache.replace(name, [content])


def _holds(cache: Place, name: str, content: bytes) -> bool:
    """Whether a file exists with exactly this content."""
    try:
        return cache.read(name, len(content)) == content
    except (FileNotFoundError, Damage):
        return False


def frame_findings(cache: Place, plan: Plan) -> list[Finding]:
    """Findings about the index and the files of the views, which all follow from the plan."""
    found = []
    try:
        open_index(cache, plan)
    except Damage as error:
        found.append(finding_of(error, None, None))
    for view in views_there(cache, plan):
        for name, content in backend_of(plan).frame(plan, view).items():
            if cache.kind(name.rpartition("/")[0]) is not None and not _holds(cache, name, content):
                found.append(Finding(None, None, None, f"{name} does not match the plan", name))
    return found


def open_index(cache: Place, plan: Plan) -> Index:
    """Open the index of a cache and check it against the plan."""
    data = plan.dataset
    return Index.open(
        cache,
        INDEX,
        expected=data.index_digest,
        rows=data.rows,
        classes=data.classes,
        generations=data.generations,
    )
