"""What stands around the parts: plan.json, index.arrow, the files Zarr needs to open a view, and nothing else."""

from pathlib import Path

from pydantic import ValidationError

from kdcache.atomic import flush_folder, is_temporary, make_folder, staged, storage_errors, write_file
from kdcache.digest import file_digest
from kdcache.errors import Damage, Mismatch, UsageError
from kdcache.images.source import Listing
from kdcache.store.backend import backend_of
from kdcache.store.check import Finding, finding_of
from kdcache.store.differences import differences, tell
from kdcache.store.index import Index, write_index
from kdcache.store.locks import FOLDER, turn
from kdcache.store.plan import FORMAT, Plan
from kdcache.store.sealed import seal, unseal

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
NEWER = "use the release of this program that made it, or a newer one"
REPLACE = "copy plan.json from another copy of this cache, or build anew"


def read_plan(cache: Path) -> Plan:
    """The plan of a cache, checked. Damage, Mismatch or UsageError say what is in the way."""
    path = cache / "plan.json"
    with storage_errors(path, "read"):
        if not path.is_file():
            raise UsageError(f"{cache} is not a cache: it has no plan.json", hint="`kd cache build --out` makes one")
        raw = path.read_bytes()
    record = unseal(raw, path, hint=REPLACE)
    if record.get("format") != FORMAT:
        message = f"{cache} has cache format {record.get('format')}, this program reads format {FORMAT}"
        raise Mismatch(message, hint=NEWER, path=str(path))
    identity = record.pop("identity", None)
    try:
        plan = Plan.from_plain(record)
    except ValidationError as error:
        raise Mismatch(f"{path} is not a plan this program knows", hint=NEWER, path=str(path)) from error
    if plan.identity != identity:
        message = f"{path} was written with identity {identity}, this program reads {plan.identity} from it"
        raise Mismatch(message, hint=NEWER, path=str(path))
    return plan


def write_plan(cache: Path, plan: Plan) -> None:
    """Write plan.json, replacing an older one in one step."""
    write_file(cache / "plan.json", [seal({"identity": plan.identity} | plan.plain(), indent=2)])


def create_frame(cache: Path, plan: Plan, listing: Listing) -> None:
    """Write plan and index into a new folder, or check that those already there are the same."""
    _check_names(plan)
    if _is_there(cache, plan):
        return
    if not (cache / "plan.json").is_file() and _is_taken(cache):
        raise UsageError(f"{cache} is not empty and not a cache", hint="choose another folder with --out")
    make_folder(cache)
    with staged(cache / "index.arrow") as file:
        write_index(listing, file.write)
        file.flush()
        if file.digest != plan.dataset.index_digest:
            message = f"the listing has index digest {file.digest}, the plan {plan.dataset.index_digest}"
            raise Mismatch(message, hint="the dataset changed in the meantime; run the same command again")
        with turn(cache):  # of two that start at once, the second finds what the first has planned
            if _is_there(cache, plan):
                return
            if not (cache / "plan.json").is_file():
                write_plan(cache, plan)
            file.commit()
    flush_folder(cache)


def _is_there(cache: Path, plan: Plan) -> bool:
    """True when plan and index are there and right, False when one is absent; Mismatch when the plan is another."""
    index = cache / "index.arrow"
    if not (cache / "plan.json").is_file():
        return False
    _same_or_refuse(cache, read_plan(cache), plan)
    return index.is_file() and file_digest(index) == plan.dataset.index_digest


def _is_taken(cache: Path) -> bool:
    """Whether a folder holds anything but what a cache leaves that is about to be created."""
    return cache.is_dir() and any(path.name != FOLDER and not is_temporary(path) for path in cache.iterdir())


def _same_or_refuse(cache: Path, old: Plan, new: Plan) -> None:
    found = differences(old.essence(), new.essence())
    if found:
        hint = "choose another folder with --out, or ask for the same as the cache there"
        raise Mismatch(
            f"{cache} holds another cache: {tell(found)}", hint=hint, differences=[path for path, *_ in found]
        )
    if old.views.count != new.views.count:
        counts = f"views.count is {old.views.count} there, {new.views.count} here"
        hint = "`kd cache add-views` plans more views of a cache"
        raise Mismatch(f"{cache} holds another cache: {counts}", hint=hint, differences=["views.count"])


def _check_names(plan: Plan) -> None:
    """Field names become names of folders and datasets."""
    for field in plan.fields():
        if not set(field.name) <= _PLAIN or field.name[0] == ".":
            message = f"a signal cannot be stored under the name {field.name!r}"
            raise UsageError(message, hint="names are made of letters, digits, '_', '-' and '.'")


def restore_view_files(cache: Path, plan: Plan, view: int) -> None:
    """Write the files of a view that depend on the plan alone, where they are not as they should be."""
    for name, content in backend_of(plan).frame(plan, view).items():
        path = cache / name
        with storage_errors(path, "read"):
            if path.is_file() and path.read_bytes() == content:
                continue
        make_folder(path.parent)
        write_file(path, [content])


def frame_findings(cache: Path, plan: Plan) -> list[Finding]:
    """The index against the plan, and the files of the views against what the plan makes of them."""
    found = []
    index = cache / "index.arrow"
    try:
        with storage_errors(index, "read"):
            Index.open(index, expected=plan.dataset.index_digest)
    except Damage as error:
        found.append(finding_of(error, None, None))
    for view in range(plan.views.count):
        for name, content in backend_of(plan).frame(plan, view).items():
            path = cache / name
            with storage_errors(path, "read"):
                right = path.is_file() and path.read_bytes() == content
            if path.parent.is_dir() and not right:
                found.append(Finding(None, None, None, f"{name} is not what the plan makes of it", name))
    return found


def strays(cache: Path, plan: Plan, known: set[Path]) -> list[Finding]:
    """Names among the parts that the plan does not know. They are told, and never used."""
    known = known | {cache / name for view in range(plan.views.count) for name in backend_of(plan).frame(plan, view)}
    found = []
    for folder in ("parts", "views"):
        for path in sorted((cache / folder).rglob("*")):
            if path.is_file() and path not in known and not is_temporary(path):
                name = str(path.relative_to(cache))
                found.append(Finding(None, None, None, f"{name} does not belong to this cache", name, "stray"))
    return found
