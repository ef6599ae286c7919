"""What each objective compares, and which stored signals a training reads: every address must lead to one signal of one cache.

Input: a run record with its caches. Output: the sides of each objective, and the addresses that are read. Every refusal names the
caches and the way out.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kdcache.errors import Mismatch, UsageError
from kdcache.signals.teacher import TeacherSpec
from students.base.contracts import Needs
from students.base.objective import Objective, Sides
from students.base.truth_columns import shown_truths
from students.families.outputs import Outputs
from students.families.registry import family_of
from students.families.spec import StudentSpec
from students.plan.checks import class_names, way_to_keep
from students.recipe import Recipe
from students.runs.caches import CachedSignal, CacheRecord, all_signals, find_signals, paths_of, signals_by_address
from students.runs.record import RunRecord


def sides_of(record: RunRecord, columns: Mapping[str, tuple[str, ...] | None]) -> dict[str, Sides]:
    """What each objective compares: the teachers of the run, its student, and the truth columns of its images."""
    places = all_signals(record.all_caches, live=record.stream == "on")
    usual = Sides(
        signals=signals_by_address(places),
        outputs=Outputs(record.student),
        spec=record.student,
        truths=columns,
        source=paths_of(record.all_caches),
        images=record.dataset.name,
    )
    return {
        name: replace(_beside(usual, objective, record, places), setting=record.recipe.setting(name))
        for name, objective in record.recipe.losses.items()
    }


def _beside(usual: Sides, objective: Objective, record: RunRecord, places: Sequence[CachedSignal]) -> Sides:
    """The sides of one objective: the caches that its signals are in, where it names any that are stored."""
    caches, addresses = record.all_caches, objective.needs().signals
    if not caches:
        return usual
    inside = [place.cache for address in addresses for place in find_signals(address, places)]
    used = [cache for cache in caches if cache in inside] or list(caches)
    teacher = teacher_by_class(caches, addresses)
    return replace(
        usual,
        signals=signals_by_address(places, addresses),
        classes=class_names(teacher or used[0].teacher),
        source=paths_of(used),
        inherits=family_of(record.student).needs(record.student).teacher and used == [caches[0]],
    )


def teacher_by_class(caches: Sequence[CacheRecord], addresses: Sequence[str]) -> TeacherSpec | None:
    """The teacher whose distribution over classes is matched: of a stored one, else of one that it emits; None: none is."""
    for live in (False, True):
        places = all_signals(caches, live=live)
        for place in (place for address in addresses for place in find_signals(address, places)):
            if place.signal.names_classes:
                return place.cache.teacher
    return None


def check_sides(record: RunRecord, sides: Mapping[str, Sides]) -> None:
    """Every objective can compare its two sides, and all that is needed of signals and truths is there."""
    _check_addresses(record)
    for name, objective in record.recipe.losses.items():
        objective.check(sides[name])
    needs, given = record.needs, next(iter(sides.values()))
    places = all_signals(record.all_caches, live=record.stream == "on")
    if missing := [signal for signal in needs.signals if not find_signals(signal, places)]:
        raise Mismatch(
            f"{_kept(record, places)}, but the recipe needs {' and '.join(missing)}",
            hint=_way_to_keep(record, needs, missing, places),
        )
    if lacking := [truth for truth in needs.columns if truth not in given.truths]:
        known = ", ".join(given.truths) or "nothing"
        raise Mismatch(
            f"the recipe needs the {shown_truths(lacking)} of every image, {given.images} has {known}",
            hint="another --recipe, or images of which that is known",
        )


def check_used(recipe: Recipe, student: StudentSpec, caches: Sequence[CacheRecord], *, live: bool = False) -> None:
    """UsageError for one of several caches that nothing is read from. `live`: the teachers run."""
    places = all_signals(caches, live=live)
    found = [find_signals(address, places) for address in signals_read(recipe, student, caches)]
    if len(caches) < 2 or not all(found):  # what no cache keeps is refused later, with the way to make it
        return
    used = [place.cache for each in found for place in each]
    if family_of(student).needs(student).teacher:
        used.append(caches[0])  # the student begins with its teacher
    for cache in caches:
        if cache not in used:
            keeps = ", ".join(signal.name for signal in cache.stored)
            read = ", ".join(signals_read(recipe, student, caches)) or "no signal"
            raise UsageError(
                f"nothing is read from --cache {cache.path}: it keeps {keeps}, and the recipe reads {read}",
                hint=f"leave it out, or choose a --recipe that reads {keeps}",
            )


def signals_read(recipe: Recipe, student: StudentSpec, caches: Sequence[CacheRecord]) -> tuple[str, ...]:
    """Addresses that are read: all that are needed, and what else the student can use of what is stored.

    A student that begins with weights of its teacher, that of the first cache, uses signals of no other teacher by itself.
    """
    needs, own = _needs(recipe, student), family_of(student).needs(student)
    places = all_signals(caches)
    first = [place for place in places if place.cache is caches[0]]
    optional = [
        address
        for address in needs.optional
        if address not in needs.signals
        and find_signals(address, first if own.teacher and address in own.optional else places)
    ]
    return (*needs.signals, *optional)


def shows_images(recipe: Recipe, student: StudentSpec, caches: Sequence[CacheRecord]) -> bool:
    """Whether the student is shown views of the images: where signals replace them, none are rendered."""
    return family_of(student).needs(student).pixels(signals_read(recipe, student, caches))


def _needs(recipe: Recipe, student: StudentSpec) -> Needs:
    return recipe.needs | family_of(student).needs(student)


def _check_addresses(record: RunRecord) -> None:
    """Mismatch where an address leads to several signals, or one of the student itself to a teacher it does not begin with."""
    caches, own = record.all_caches, family_of(record.student).needs(record.student)
    if len(caches) < 2:
        return
    losses = record.recipe.losses.items()
    settings = {getattr(objective, "signal", None): record.recipe.setting(name) for name, objective in losses}
    places = all_signals(caches)
    for address in signals_read(record.recipe, record.student, caches):
        found = find_signals(address, places)
        if len(found) > 1:
            _refuse_several(address, found, settings.get(address))
        if own.teacher and address in (*own.signals, *own.optional) and found and found[0].cache is not caches[0]:
            raise Mismatch(
                f"{address} is in {found[0].cache.path}, but {record.student.name} begins with the teacher of "
                f"{caches[0].path}, the first cache",
                hint="name the cache of that teacher first",
            )


def _refuse_several(address: str, found: Sequence[CachedSignal], setting: str | None) -> None:
    """Say how to tell the signals apart: by the names of their caches, once they have some."""
    caches = " and ".join(
        f"{place.cache.name}, {place.cache.path}," if place.address else place.cache.path for place in found
    )
    message = f"{caches} {'both' if len(found) == 2 else 'all'} keep {address}: it is not clear which is meant"
    if setting is None:  # needed by this very name, which no setting changes
        raise Mismatch(message, hint=_way_to_leave_out(found[-1]))
    named = all(place.address for place in found)
    first = "" if named else "name the caches (--cache one=DIR --cache other=DIR) and then "
    one = found[0].address if named else f"one.{found[0].signal.name}"
    raise Mismatch(message, hint=f"{first}say which: --set {setting}.signal={one}")


def _way_to_leave_out(place: CachedSignal) -> str:
    """The command that copies a cache without a signal."""
    path = shlex.quote(place.cache.path)
    rest = [signal.name for signal in place.cache.stored if signal.name != place.signal.name]
    return f"kd cache convert {path} --signal {','.join(rest)} --out DIR" if rest else f"leave out --cache {path}"


def _kept(record: RunRecord, places: Sequence[CachedSignal]) -> str:
    """What each cache keeps."""
    words = []
    for cache in record.all_caches:
        signals = [place.signal.name for place in places if place.cache is cache]
        words.append(f"{cache.path} keeps {', '.join(signals) or 'nothing'}")
    return "; ".join(words)


def _way_to_keep(record: RunRecord, needs: Needs, missing: Sequence[str], places: Sequence[CachedSignal]) -> str:
    """The command that makes a cache of the same images with all that is needed, or one more with what is missing."""
    caches = record.all_caches
    assert caches, "without a cache no signal is needed"
    for address in missing:
        name, _, signal = address.partition(".")
        if found := find_signals(signal, places):
            return f"call the cache so: --cache {name}={shlex.quote(found[0].cache.path)}"
    teacher, defaults = caches[0].teacher, family_of(record.student).defaults
    wanted = (*needs.optional, *needs.signals) if len(caches) == 1 else missing
    signals = tuple(dict.fromkeys(_without_name(address, caches) for address in wanted))
    if needs.teacher and teacher.family != defaults.teacher:
        return f"kd cache build --teacher {defaults.teacher} --signal {','.join(signals)}"
    way = way_to_keep(teacher, record.dataset.source, signals)
    return way if len(caches) == 1 else f"{way}, and give it with one more --cache"


def _without_name(address: str, caches: Sequence[CacheRecord]) -> str:
    """The signal of an address."""
    name, _, signal = address.partition(".")
    return signal if name in {cache.name for cache in caches} else address
