"""Registry of tasks: files and folders of students/tasks, and tasks of other packages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from kdcache.base.figures import listed
from kdcache.base.plugins import Registry
from kdcache.base.strict import Strict
from kdcache.config.presets import load_alone, load_preset, preset_names
from kdcache.errors import KDError, UsageError
from students.base.plugins import Brought
from students.base.task import Task

TASKS: Registry[Task[Any]] = Registry("students.tasks", "TASK", "task", others=Brought("tasks"))


def task_named(name: str, *, unknown: Callable[..., KDError] = UsageError) -> Task[Any]:
    """A task by name; `unknown`: class of the error if there is none."""
    return TASKS.get(name, unknown=unknown)


def tasks_that_have(key: str) -> list[str]:
    """Names of the tasks that have a setting `key`."""
    return [name for name, task in TASKS if key in task.settings.model_fields]


def settings_of(task: Task[Any], given: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()) -> Any:
    """A task's settings: its preset, or its defaults if it has none, changed by `overrides` (KEY=VALUE) and by `given`."""
    with_preset = task.name in preset_names("tasks")
    load = load_preset if with_preset else load_alone
    settings: Strict = load("tasks", task.name, task.settings, overrides)
    if not given:
        return settings
    try:
        return task.settings.from_plain({**settings.plain(), **given})
    except ValidationError as error:
        raise UsageError(
            f"settings of the task {task.name}: {error.errors(include_url=False)[0]['msg']}",
            hint=f"it has {', '.join(task.settings.model_fields)}",
        ) from error


def chosen(
    names: Sequence[str], given: Mapping[str, Any], overrides: Sequence[str] = ()
) -> list[tuple[Task[Any], Any]]:
    """Tasks with their settings. A setting applies to every task that has it. Raises UsageError if none has it."""
    if len(set(names)) < len(names) or not names:
        raise UsageError(f"--task {','.join(names)}: give one or more tasks, each once", hint="--task classify,knn")
    tasks = [task_named(name) for name in names]
    for key in given:
        _refuse_strange(tasks, key, f"--{key}")
    for item in overrides:
        _refuse_strange(tasks, item.partition("=")[0].partition(".")[0], "--set", typo=True)
    return [(task, settings_of(task, _its(task, given), _overrides(task, tasks, overrides))) for task in tasks]


def _its(task: Task[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key in task.settings.model_fields}


def _overrides(task: Task[Any], tasks: list[Task[Any]], overrides: Sequence[str]) -> list[str]:
    """The overrides for one task. One that fits no task is passed to all, so that the error lists the keys."""

    def is_of(item: str, one: Task[Any]) -> bool:
        return item.partition("=")[0].partition(".")[0] in one.settings.model_fields

    return [item for item in overrides if is_of(item, task) or not any(is_of(item, other) for other in tasks)]


def _refuse_strange(tasks: list[Task[Any]], key: str, option: str, *, typo: bool = False) -> None:
    """Refuse a setting that none of the tasks has.

    `typo`: a key that no task has is not refused here, but where settings are read, which suggests a similar key.
    """
    if any(key in task.settings.model_fields for task in tasks):
        return
    having = tasks_that_have(key)
    if typo and not having:
        return
    what = option if option == f"--{key}" else f"{option} {key}"
    others = f"is a setting of {listed(having, 'and')}" if having else "is a setting of no task"
    raise UsageError(
        f"{what} {others}, not of {listed([task.name for task in tasks], 'or')}",
        hint=f"--task {listed(having, 'or')}, or leave it out" if having else "leave it out",
    )
