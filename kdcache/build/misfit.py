"""Explain why a build does not fit the cache in its folder: which options differ, the most important first.

Input: the plan in the folder and the requested plan. Output: nothing, or a Mismatch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcache.errors import Mismatch
from kdcache.store.differences import differences
from kdcache.store.plan import Plan

_SHOWN, _MOST = 60, 3
Read = Callable[[Plan], object]


def refuse_misfit(path: Path, there: Plan, here: Plan) -> None:
    """Mismatch when two plans do not make the same cache."""
    found = [name for name, *_ in differences(there.essence(), here.essence())]
    if found:
        hint = "choose another folder with --out, or use the settings of the cache that is there"
        raise Mismatch(f"{path} holds another cache: {described(there, here, found)}", hint=hint, differences=found)
    if there.views.count != here.views.count:
        counts = f"--views: {there.views.count} there, {here.views.count} here"
        hint = "`kd cache add-views` plans more views of a cache"
        raise Mismatch(f"{path} holds another cache: {counts}", hint=hint, differences=["views.count"])


def described(there: Plan, here: Plan, found: list[str]) -> str:
    """The differences as text: `--data: photos there, wds here; --signal: …`, without those that an earlier one causes."""
    lines: list[str] = []
    seen: set[str] = set()
    for option, read, causes in _WORDS:
        ours, theirs = read(there), read(here)
        same = there.dataset.fingerprint == here.dataset.fingerprint if option == "--data" else ours == theirs
        if same or seen & set(causes):
            continue
        seen.add(option)
        lines.append(f"{option}: {_short(ours)} there, {_short(theirs)} here")
    if not lines:
        lines = found
    rest = len(lines) - _MOST
    return "; ".join(lines[:_MOST]) + (f"; and {rest} more" if rest > 0 else "")


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _data(plan: Plan) -> str:
    """The dataset as shown in a message. It includes the name, but only the fingerprint decides whether two are the same."""
    return f"{plan.dataset.name} ({plan.dataset.rows:,} images, fingerprint {plan.dataset.fingerprint[:8]})"


def _teacher(plan: Plan) -> str:
    from kdcache.teachers.registry import name_of

    return name_of(plan.teacher.without_paths())


def _weights(record: Any) -> str:
    return "none" if record is None else f"{record.source} ({record.sha256[:8]})"


def _recipe(plan: Plan) -> str:
    return plan.views.recipe.kind


def _settings(plan: Plan) -> str:
    """The remaining settings of the recipe as text, so that any difference between them shows."""
    values = plan.views.recipe.plain().items()
    return " ".join(f"{key}={value}" for key, value in values if key not in ("kind", "background"))


def _background(plan: Plan) -> str:
    return getattr(plan.views.recipe, "background", "unknown")


def _codecs(plan: Plan) -> tuple[str, ...]:
    return tuple(f"{stored.signal.name}={stored.codec}" for stored in plan.signals)


def _classes(plan: Plan) -> str:
    names = plan.teacher.classes
    return "none" if names is None else f"{len(names)} names, {', '.join(names)}"


# Option, its value according to a plan, and the options whose difference explains a difference of this one.
_WORDS: tuple[tuple[str, Read, tuple[str, ...]], ...] = (
    ("--data", _data, ()),
    ("--teacher", _teacher, ()),
    ("--size", lambda plan: plan.teacher.size, ("--teacher",)),
    ("--weights", lambda plan: _weights(plan.teacher.weights), ("--teacher", "--size")),
    ("--signal", lambda plan: tuple(s.name for s in plan.teacher.signals), ()),
    ("--codec", _codecs, ("--signal",)),
    ("--recipe", _recipe, ("--teacher", "--size")),
    ("--set", _settings, ("--teacher", "--size", "--recipe")),
    ("--background", _background, ("--recipe",)),
    ("--seed", lambda plan: plan.views.seed, ()),
    ("--precision", lambda plan: plan.teacher.precision, ()),
    ("--input-size", lambda plan: "x".join(map(str, plan.teacher.preprocess.size)), ("--teacher", "--size")),
    ("--classes", _classes, ("--data", "--teacher", "--size", "--signal")),
    ("--head", lambda plan: _weights(plan.teacher.head), ("--teacher", "--size", "--signal", "--classes")),
    ("--format", lambda plan: plan.layout.backend, ()),
    ("--compress", lambda plan: plan.layout.compression or "none", ()),
    ("--batch", lambda plan: plan.batch, ("--teacher", "--size", "--input-size")),
    (
        "--part-rows",
        lambda plan: plan.layout.rows_per_part,
        ("--data", "--teacher", "--size", "--signal", "--codec", "--batch", "--input-size"),
    ),
)
