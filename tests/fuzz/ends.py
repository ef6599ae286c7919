"""How an operation ends: well, in a KDError, or as it must not; and commands of `kd`, whose every letter is looked at."""

import contextlib
import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROL = {chr(n) for n in (*range(32), *range(127, 160)) if chr(n) not in "\n\t"} | set(BIDI)
"""what a terminal takes for more than a letter"""


class Unsound(AssertionError):
    """It did not fail, and it is not right either."""


def ended(name: str, work: Callable[[], None]) -> tuple[str, str, str]:
    """(operation, outcome, details): ok, a KDError's kind, or what went wrong."""
    from kdcache.errors import KDError

    try:
        work()
    except KDError as error:
        return name, error.kind, error.message[:300]
    except Unsound as error:
        return name, "unsound", str(error)[:600]
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what is looked for)
        return name, "bug", f"{type(error).__name__}: {error!s:.200} at {place_of(error)}"
    return name, "ok", ""


def place_of(error: Exception) -> str:
    """Where in kd it came from, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if any(f"/{name}/" in frame.filename for name in ("kdcache", "cli", "students"))]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in ours[:-5:-1])


def command(*words: str) -> None:
    """`kd …`; a failure as its KDError's kind, a bug as what it was."""
    from cli import output
    from cli.app import run
    from kdcache import errors

    def bug(self: Any, error: Exception) -> int:
        raise error

    kinds: list[str] = []
    fail = output.Ui.fail

    def failed(self: Any, kind: str, *rest: Any, **more: Any) -> int:
        kinds.append(kind)
        return fail(self, kind, *rest, **more)

    output.Ui._bug, output.Ui.fail = bug, failed
    raw = io.BytesIO()
    screen = io.TextIOWrapper(raw, "utf-8")
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        code = run(list(words))
    screen.flush()
    shown = raw.getvalue().decode()
    if unsafe := sorted({char for char in shown if char in CONTROL}):
        place = shown.index(unsafe[0])
        raise Unsound(f"kd {words[0]} {words[1]} prints {unsafe[0]!r} in {shown[max(0, place - 60) : place + 20]!r}")
    if code == 1:
        raise Unsound(f"kd {' '.join(words)} ends with code 1: {shown[-300:]}")
    if kinds:
        raise getattr(errors, kinds[0], errors.UsageError)(shown[-300:])
