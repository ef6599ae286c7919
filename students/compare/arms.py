"""The ways of training that are compared, by name: `on-stream`, `off-stream`, `off-stream:k=10`, `hard-labels`, `no-teacher`.

Input: a name. Output: an Arm: which cache, which stream, which objective. Everything else is the same in all arms.
"""

from typing import Literal

from kdcache.errors import UsageError
from kdcache.strict import Strict
from students.options import StreamMode

KINDS = ("on-stream", "off-stream", "hard-labels", "no-teacher")
HARD = ("objective.soft=0", "objective.hard=1")


class Arm(Strict):
    """One way of training."""

    name: str
    stream: StreamMode
    codec: str | None = None
    """of the logits, when it is not the cache's own"""
    settings: tuple[str, ...] = ()

    @property
    def teacher(self) -> Literal["connected", "stored", "none"]:
        """Where the teacher is while the student learns."""
        if self.settings == HARD:
            return "none"
        return "connected" if self.stream == "on" else "stored"


def arm_of(name: str) -> Arm:
    """The arm a name stands for."""
    kind, colon, option = name.partition(":")
    if kind not in KINDS:
        raise UsageError(
            f"no way of training is called {kind!r}", hint=f"one of {', '.join(KINDS)}, or off-stream:k=10"
        )
    if kind in ("hard-labels", "no-teacher"):
        _no_option(kind, option)
        return Arm(name=name, stream="off" if kind == "hard-labels" else "none", settings=HARD)
    if kind == "on-stream":
        _no_option(kind, option)
        return Arm(name=name, stream="on")
    return Arm(name=name, stream="off", codec=_codec(option) if colon else None)


def arms_of(names: tuple[str, ...]) -> tuple[Arm, ...]:
    """Two or more different arms."""
    arms = tuple(arm_of(name) for name in names)
    if len(set(names)) < len(names) or len(arms) < 2:
        raise UsageError("two or more different ways are compared", hint="kd compare on-stream off-stream")
    return arms


def _no_option(kind: str, option: str) -> None:
    if option:
        raise UsageError(
            f"{kind} takes no option, not {option!r}",
            hint="options are for off-stream:k=10 or off-stream:codec=full:float16",
        )


def _codec(option: str) -> str:
    key, equals, value = option.partition("=")
    if equals and key == "k" and value.isdecimal() and int(value):
        return f"topk:{value}"
    if equals and key == "codec" and value:
        return value
    raise UsageError(f"off-stream:{option} is not understood", hint="off-stream:k=10 or off-stream:codec=full:float16")
