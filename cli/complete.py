"""Shell completion. It only looks at file names, so that it is fast."""

from collections.abc import Callable, Iterable
from pathlib import Path

from kdcache.base.newest import CACHES


def starting(names: Iterable[str], typed: str) -> list[str]:
    """The names that start with `typed`, each once."""
    return [name for name in dict.fromkeys(names) if name.startswith(typed)]


def caches(incomplete: str) -> list[str]:
    """Caches in ./kd/caches, in this folder, and in the folder typed so far."""
    folders = dict.fromkeys((CACHES, Path(), Path(f"{incomplete}-").parent))
    return starting((str(plan.parent) for folder in folders for plan in sorted(folder.glob("*/plan.json"))), incomplete)


def named_caches(incomplete: str) -> list[str]:
    """The same, also behind the name in NAME=CACHE."""
    name, sign, path = incomplete.rpartition("=")
    return [*caches(incomplete), *(f"{name}={each}" for each in (caches(path) if sign else ()))]


def runs(incomplete: str) -> list[str]:
    """LATEST, the names of runs in ./kd/runs, and the paths of all runs that `kd runs list` shows."""
    from students.runs.newest import run_names

    return starting(("LATEST", *run_names()), incomplete)


def presets(kind: str) -> Callable[[str], list[str]]:
    """Completion of the presets of a kind."""

    def names(incomplete: str) -> list[str]:
        from kdcache.config.presets import preset_names

        return starting(preset_names(kind), incomplete)

    return names


def students_and_runs(incomplete: str) -> list[str]:
    """Completion of the argument of `kd student show`: presets and runs."""
    return [*presets("students")(incomplete), *runs(incomplete)]


def kinds_and_presets(incomplete: str) -> list[str]:
    """KIND/NAME of every preset."""
    from kdcache.config.presets import preset_kinds, preset_names

    return starting((f"{kind}/{name}" for kind in preset_kinds() for name in preset_names(kind)), incomplete)


def preset_kinds(incomplete: str) -> list[str]:
    """Kinds that have presets."""
    from kdcache.config.presets import preset_kinds as kinds

    return starting(kinds(), incomplete)
