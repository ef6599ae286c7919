"""Options of a training that make no sense, or that would have no effect, are refused. Nothing is opened for that."""

from collections.abc import Collection

from kdcache.errors import UsageError
from students.base import limits
from students.options import StreamMode


def check_epochs(epochs: float | None) -> None:
    """UsageError for a number of passes that is none."""
    if epochs is not None and not 0 < epochs <= limits.EPOCHS:
        message = f"--epochs {epochs:g} is not a number of passes above 0, and up to {limits.EPOCHS:,}"
        raise UsageError(message, hint="such as --epochs 30")


def check_source(stream: StreamMode, given: Collection[str], student: str | None) -> None:
    """UsageError for an option that would have no effect; `given`: which of cache, views, weights and head were named."""
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


def _shares(student: str | None) -> bool:
    """Whether the student takes weights from the teacher's file."""
    from students.families.registry import shown_student, student_needs

    return student is not None and student_needs(shown_student(student)).teacher
