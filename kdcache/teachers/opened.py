"""Open a requested teacher and freeze it; an error inside a library is reported as an error of the teacher's files."""

from collections.abc import Callable

import torch

from kdcache.errors import KDError, Mismatch, Unavailable
from kdcache.teachers.frozen import Candidate, FrozenTeacher, check_device
from kdcache.teachers.request import Request


def opened(opener: Callable[[Request], Candidate], request: Request) -> FrozenTeacher:
    """Open the requested teacher with an opener. If the files may come from a stranger, every failure is blamed on them."""
    check_device(request.device)
    try:
        # Building a network draws random weights that a checkpoint then replaces; this must not change other random numbers.
        with torch.random.fork_rng(devices=[]):
            return FrozenTeacher(request, opener(request))
    except KDError:
        raise
    except ImportError as error:
        raise Unavailable(f"{request.title} cannot be opened: {_line(error)}", hint="install what it names") from error
    except Exception as error:
        ours = request.random and request.model is None
        if ours or (isinstance(error, OSError) and error.errno is not None):
            raise
        place = f" from {request.weights}" if request.weights not in (None, "random") else ""
        raise Mismatch(
            f"{request.title} cannot be opened{place}: {type(error).__name__}: {_line(error)}",
            hint="fetch the files again, or choose another --teacher; -vv shows where it failed",
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or "no reason given"
