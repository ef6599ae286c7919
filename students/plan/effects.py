"""Refuses options of a training that make no sense or would have no effect, before anything is opened."""

import re
from collections.abc import Collection, Sequence

from kdcache.errors import UsageError
from students.base import limits
from students.base.validation import NAME
from students.options import NamedCache, StreamMode
from students.runs.caches import MOST_CACHES


def check_epochs(epochs: float | None) -> None:
    """Raises UsageError unless this is a possible number of epochs."""
    if epochs is not None and not 0 < epochs <= limits.EPOCHS:
        message = f"--epochs {epochs:g} is not a number above 0 and up to {limits.EPOCHS:,}"
        raise UsageError(message, hint="such as --epochs 30")


def check_source(stream: StreamMode, given: Collection[str], student: str | None) -> None:
    """Raises UsageError for an option without effect; `given`: which of cache, views, weights and head were given."""
    of_cache = [option for name, option in (("cache", "--cache"), ("views", "--views")) if name in given]
    if stream == "none" and of_cache:
        raise UsageError(
            f"{of_cache[0]} cannot be used with --stream none, which trains on class labels and reads no cache",
            hint=f"leave out --stream none to learn from a cache, or leave out {of_cache[0]}",
        )
    of_teacher = [option for name, option in (("weights", "--weights"), ("head", "--head")) if name in given]
    if stream == "off" and of_teacher == ["--weights"] and _shares(student):
        return
    if stream != "on" and of_teacher:
        raise UsageError(
            f"{of_teacher[0]} cannot be used with --stream {stream}, which loads no teacher",
            hint="leave it out, or use --stream on",
        )


def check_caches(stream: StreamMode, caches: Sequence[NamedCache]) -> None:
    """UsageError for caches that cannot be read together, whatever is in them."""
    names = [cache.name for cache in caches if cache.name is not None]
    if len(caches) > MOST_CACHES:
        raise UsageError(
            f"--cache is given {len(caches)} times", hint=f"at most {MOST_CACHES} caches can be read together"
        )
    if wrong := next((name for name in names if not re.fullmatch(NAME, name)), None):
        raise UsageError(
            f"a cache cannot be called {wrong!r}", hint="letters, digits, '_' and '-', a letter first, 60 at most"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two caches are called {twice}", hint="give each --cache a name of its own")
    if stream == "on" and (len(caches) > 1 or names):
        given = f"{len(caches)} are given" if len(caches) > 1 else f"and its signals need no name, such as {names[0]}"
        raise UsageError(
            f"--stream on runs the teacher of one cache, {given}",
            hint="train from the caches (leave out --stream on), or give one --cache DIR",
        )


def check_labelled(data: str | None) -> None:
    """Raises UsageError if fine-tuning has no images."""
    if data is None:
        raise UsageError("no --data: fine-tuning needs labelled images", hint="kd finetune LATEST --data photos/")


def check_subject(run: object, teacher: object, images: object) -> None:
    """Raises UsageError unless predictions have images and either a run or a teacher."""
    way = "kd predict LATEST photos/, or kd predict --teacher NAME photos/"
    if run is not None and teacher is not None:
        raise UsageError(f"give either a run or --teacher, not both: the run is {run}", hint=way)
    if images is None or (run is None and teacher is None):
        raise UsageError("predictions need images, and either a run or --teacher", hint=way)


def _shares(student: str | None) -> bool:
    """Whether the student copies weights from the teacher's file."""
    from students.families.registry import shown_student, student_needs

    return student is not None and student_needs(shown_student(student)).teacher
