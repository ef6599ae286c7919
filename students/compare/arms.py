"""The arms of a comparison, each a way of training, by name: `on-stream`, `off-stream`, `off-stream:k=10`,
`off-stream:only=targets`, `hard-labels`, `no-teacher`.

Input: a name. Output: an Arm: which cache, which stream, which objective. Everything else is the same in all arms.
"""

from typing import Any, Literal

from kdcache.base.strict import Strict
from kdcache.errors import UsageError
from students.options import StreamMode

KINDS = ("on-stream", "off-stream", "hard-labels", "no-teacher")
OPTIONS = "off-stream:k=10, off-stream:codec=int8, off-stream:only=targets"
HARD = ("objective.soft=0", "objective.hard=1")


class Arm(Strict):
    """One way of training that is compared with others."""

    name: str
    stream: StreamMode
    codec: str | None = None
    """Codec of the signal the students learn from; None: that of the base cache."""
    only: tuple[str, ...] | None = None
    """Signals in the arm's cache; None: all that the teacher emitted."""
    settings: tuple[str, ...] = ()

    @property
    def teacher(self) -> Literal["connected", "stored", "none"]:
        """Where the signals come from while the student learns: a connected teacher, a cache, or no teacher."""
        if self.settings == HARD:
            return "none"
        return "connected" if self.stream == "on" else "stored"


def arm_of(name: str) -> Arm:
    """The arm with this name."""
    kind, colon, option = name.partition(":")
    if kind not in KINDS:
        raise UsageError(f"no way of training is called {kind!r}", hint=f"one of {', '.join(KINDS)}, or {OPTIONS}")
    if kind in ("hard-labels", "no-teacher"):
        _no_option(kind, option)
        return Arm(name=name, stream="off" if kind == "hard-labels" else "none", settings=HARD)
    if kind == "on-stream":
        _no_option(kind, option)
        return Arm(name=name, stream="on")
    return Arm(name=name, stream="off", **_options(option)) if colon else Arm(name=name, stream="off")


def arms_of(names: tuple[str, ...]) -> tuple[Arm, ...]:
    """The arms with these names; UsageError unless there are two or more different ones."""
    arms = tuple(arm_of(name) for name in names)
    if len(set(names)) < len(names) or len(arms) < 2:
        raise UsageError(
            "a comparison needs at least two different ways of training", hint="kd compare on-stream off-stream"
        )
    return arms


def _no_option(kind: str, option: str) -> None:
    if option:
        raise UsageError(f"{kind} takes no option, but has {option!r}", hint=f"only off-stream has options: {OPTIONS}")


def _options(text: str) -> dict[str, Any]:
    """`codec=int8,only=targets` -> fields of an `Arm`."""
    found: dict[str, Any] = {}
    for word in text.split(","):
        key, equals, value = word.partition("=")
        if equals and key == "k" and value.isdecimal() and int(value):
            found |= {"codec": f"topk:{value}"}
        elif equals and key == "codec" and value:
            found |= {"codec": value}
        elif equals and key == "only" and value:
            found |= {"only": (*found.get("only", ()), value)}
        else:
            raise UsageError(f"off-stream:{text} is not a known option", hint=f"such as {OPTIONS}")
    return found
