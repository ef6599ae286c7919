"""`kd config`: list, show and check presets and settings."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import complete
from cli import options as o
from cli.command import command, group
from cli.output import Ui
from cli.text import columns, on_a_line, plural
from kdcache.errors import KDError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kdcache.base.strict import Strict

LIST = """
kd config list
kd config list views
"""
SHOW = """
kd config show views/augment
kd config show recipes/own > my.yaml          # then: kd train … --recipe my.yaml
kd config show views/augment --set crop.scale=[0.3,1.0]
kd config show views/my_views.yaml --json
"""
VALIDATE = """
kd config validate views/my_views.yaml
kd config validate views/augment --set erase.probability=0.5
"""
KINDS = ("views", "teachers", "students", "recipes", "tasks")
Kind = Annotated[
    str | None,
    typer.Argument(
        metavar="[KIND]",
        help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}. Default: all.",
        autocompletion=complete.preset_kinds,
    ),
]
Name = Annotated[
    str,
    typer.Argument(
        metavar="KIND/NAME",
        help="A preset, such as views/augment, or KIND/ followed by the path of a .yaml file.",
        autocompletion=complete.kinds_and_presets,
    ),
]

app = group("Show and check presets and settings.")


def config_list(ui: Ui, kind: Kind = None) -> None:
    """List the presets."""
    from kdcache.config.folders import folder_troubles
    from kdcache.config.presets import config_path, preset_names

    if kind is not None:
        _check_kind(kind)
    for trouble in folder_troubles():
        ui.warn(trouble.message)
    rows = list[list[str]]()
    for each in (kind,) if kind else KINDS:
        for name in preset_names(each):
            try:
                rows.append([f"{each}/{name}", _about(each, name, config_path(each, name).read_text("utf-8"))])
            except KDError as trouble:  # two packages bring it
                ui.warn(trouble.message)
    ui.answer([{"name": name, "about": about} for name, about in rows], columns(rows))


def _about(kind: str, name: str, text: str) -> str:
    """One line about a preset: the first comment line that is no command; for a teacher, the line of `kd teacher list`."""
    if kind == "teachers":
        from kdcache.teachers.registry import families

        return next(family.about for family in families() if family.sizes == name)
    from kdcache.config.text import about

    return about(text)


def config_show(ui: Ui, name: Name, settings: o.Settings = None) -> None:
    """Print every value of a preset or file, and its origin: default, preset, file, environment or --set.

    The output is a .yaml file with the comments of the preset, and can be used wherever a preset can.
    """
    from kdcache.config.presets import config_origin, config_path, flatten, load_config
    from kdcache.config.text import yaml_text

    kind, rest = _split(name)
    loaded = load_config(kind, rest, _model(kind, rest), settings or ())
    plain = loaded.value.plain()
    facts = {key: {"value": value, "from": loaded.origins[key]} for key, value in flatten(plain).items()}
    text = config_path(kind, rest).read_text("utf-8")
    ui.answer(facts, yaml_text(plain, loaded.origins, text, config_origin(kind, rest)))


def config_validate(ui: Ui, name: Name, settings: o.Settings = None) -> None:
    """Check a preset or file, and print every mistake, one line per key."""
    from kdcache.config.presets import flatten, load_config

    kind, rest = _split(name)
    loaded = load_config(kind, rest, _model(kind, rest), settings or ())
    count = len(flatten(loaded.value.plain()))
    ui.answer({"name": name, "valid": True, "keys": count}, f"{on_a_line(name)} is valid: {plural(count, 'key')}")


def _split(name: str) -> tuple[str, str]:
    kind, slash, rest = name.partition("/")
    if not slash or not rest:
        raise UsageError(f"{name} is not KIND/NAME", hint=f"one of {', '.join(f'{k}/{name}' for k in KINDS)}")
    _check_kind(kind)
    return kind, rest


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UsageError(f"no kind of preset is called {kind}", hint=f"kinds: {', '.join(KINDS)}")


def _model(kind: str, name: str) -> "type[Strict] | Callable[[Mapping[str, Any]], type[Strict]]":
    """The class that reads a preset of this kind, or a function that chooses it by the preset's content."""
    if kind == "views":
        from kdcache.views.recipe import Augment

        return Augment
    if kind == "students":
        from students.families.registry import preset_model

        return preset_model
    if kind == "recipes":
        from students.recipe import Recipe

        return Recipe
    if kind == "tasks":
        return _settings(name)
    from kdcache.teachers.loading.sizes import FamilyFacts

    return FamilyFacts


def _settings(name: str) -> "type[Strict]":
    """The class of a task's settings; a file is named after its task."""
    from kdcache.config.presets import config_path
    from students.judging.registry import TASKS

    task = config_path("tasks", name).stem
    if task not in TASKS:
        raise UsageError(
            f"{name} is not named after a task, so it is unclear to which task the settings belong",
            hint=f"name it TASK.yaml; {TASKS.known()}",
        )
    return TASKS.get(task).settings


command(app, "list", examples=LIST)(config_list)
command(app, "show", examples=SHOW)(config_show)
command(app, "validate", examples=VALIDATE)(config_validate)
