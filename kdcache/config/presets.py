"""Load presets and settings: YAML in; strict records out, with the origin of every value.

A preset is configs/KIND/NAME.yaml, here or in a folder of another package (folders.py); a path of a user's own file can be given
instead of a preset's name. Later places win:
default < preset or file < environment (KD_VIEWS__CROP__RATIO=...) < --set crop.ratio=... All mistakes are reported at once.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from yaml import YAMLError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from kdcache.base.plain_json import MOST_LEVELS
from kdcache.base.plugins import OURS
from kdcache.base.strict import Strict
from kdcache.config.explain import explain
from kdcache.config.folders import Folder, folder_troubles, other_folders
from kdcache.config.plain_yaml import parse_yaml, read_yaml
from kdcache.errors import Mismatch, UsageError

Model = TypeVar("Model", bound=Strict)
DEFAULT = "default"
"""Origin of a value that neither a preset nor anybody else gives."""
_SHOWN = 60
"""How many characters of a wrong value an error shows."""


@dataclass(frozen=True)
class Loaded(Generic[Model]):
    """A checked record and, for each of its dotted keys, where the value came from."""

    value: Model
    origins: dict[str, str]


def config_root() -> Path:
    """The folder of the presets: inside the installed package, or configs/ beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_configs"
    return installed if installed.is_dir() else package.parent / "configs"


def preset_names(kind: str) -> list[str]:
    """Names of all presets of a kind, sorted."""
    return sorted({name for folder in _folders() for name in _names_in(folder.path / kind)})


def _folders() -> list[Folder]:
    return [Folder(OURS, config_root()), *other_folders()]


def _names_in(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("*.yaml")]


def _preset(kind: str, name: str) -> Path | None:
    """The file of a preset. Mismatch when two packages bring it, so that none replaces a preset of another."""
    found = [folder for folder in _folders() if name in _names_in(folder.path / kind)]
    if len(found) > 1:
        message = f"{' and '.join(folder.package for folder in found)} both bring the preset {kind}/{name}"
        raise Mismatch(message, hint=f"pip uninstall {found[-1].package}")
    return found[0].path / kind / f"{name}.yaml" if found else None


def preset_kinds() -> list[str]:
    """Kinds that have presets, sorted."""
    return sorted({path.parent.name for path in config_root().glob("*/*.yaml")})


def config_path(kind: str, name: str) -> Path:
    """The file for a name: a preset, or a path if the name has a slash or ends in .yaml."""
    if "/" in name or name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"no such configuration file: {name}", hint="kd config list", path=name)
        return path
    if (preset := _preset(kind, name)) is not None:
        return preset
    if (kind, name) == ("views", "plain"):
        what = "the view recipe `plain` has no settings: one view, prepared as the teacher's publisher specifies"
        raise UsageError(what, hint="kd config show views/augment is a recipe with settings")
    names = preset_names(kind)
    near = get_close_matches(name, names, 1) or [each for each in names if each.startswith(f"{name}-")][:1]
    suggestion = f"; did you mean {near[0]}?" if near else ""
    known = ", ".join(names) or "none"
    broken = "".join(f"; {trouble.message}" for trouble in folder_troubles())  # one of these may bring it
    raise UsageError(
        f"no {_one(kind)} is called {name}{suggestion}{broken}", hint=f"presets: {known}; or give a .yaml file"
    )


def _one(kind: str) -> str:
    """What messages call one preset of a kind: `recipe` for recipes."""
    return "view recipe" if kind == "views" else kind.removesuffix("s")


def config_origin(kind: str, name: str) -> str:
    """How messages name a preset or file as the origin of a value."""
    preset = config_path(kind, name) == _preset(kind, name)
    return f"preset {kind}/{name}" if preset else f"file {name}"


def load_preset(
    kind: str, name: str, model: type[Model] | Callable[[Mapping[str, Any]], type[Model]], overrides: Sequence[str] = ()
) -> Model:
    """Read, override and check a preset or file. Returns a strict record, or raises one error that lists every mistake.

    `model` may be a function from the values to the type of record, if that depends on one of the values.
    """
    return load_config(kind, name, model, overrides).value


def load_config(
    kind: str,
    name: str,
    model: type[Model] | Callable[[Mapping[str, Any]], type[Model]],
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Loaded[Model]:
    """Like `load_preset`, but the result also has the origin of each value."""
    return _checked(kind, name, _read(config_path(kind, name)), config_origin(kind, name), model, overrides, environ)


def load_alone(kind: str, name: str, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """A record that has no preset: its defaults, changed by environment and `overrides` like those of presets."""
    prefix = f"KD_{kind.upper()}__"  # shared by all records of a kind, so keys of other records are ignored
    its = tuple(f"{prefix}{key.upper()}" for key in model.model_fields)
    environ = {key: value for key, value in os.environ.items() if key.startswith(its)}
    return _checked(kind, name, {}, DEFAULT, model, overrides, environ).value


def _checked(
    kind: str,
    name: str,
    data: dict[str, Any],
    origin: str,
    model: type[Model] | Callable[[Mapping[str, Any]], type[Model]],
    overrides: Sequence[str],
    environ: Mapping[str, str],
) -> Loaded[Model]:
    mistakes = list[str]()
    origins = dict.fromkeys(flatten(data), origin)
    for key, text, place in _settings(kind, overrides, environ, mistakes):
        if problem := _put(data, key, text):
            mistakes.append(f"{key}: {problem} ({place})")
            continue
        _forget_below(origins, key)
        origins[key] = place
    record: type[Model] = model if isinstance(model, type) else model(data)
    try:
        value = record.from_plain(data)
    except ValidationError as error:
        mistakes += explain(
            error, record, lambda key: _origin(origins, key, origin), lambda key: _below(origins, key, origin)
        )
    if mistakes:
        raise _refusal(f"the {_one(kind)} {name}", _way_to_keys(kind, name, record, origin), mistakes)
    return Loaded(value, {key: _origin(origins, key, DEFAULT) for key in flatten(value.plain())})


def _way_to_keys(kind: str, name: str, record: type[Strict], origin: str) -> str:
    """Hint: the command that prints all keys, of the named preset or, for a file, of any; without a preset the keys."""
    if origin == DEFAULT:
        return f"it has {', '.join(record.model_fields)}"
    names = preset_names(kind)
    usual = "own" if "own" in names else names[0]
    return f"kd config show {kind}/{name if name in names else usual} prints every key"


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested groups to dotted keys; lists and empty groups stay as they are."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= flatten(inner, f"{prefix}{key}.") if isinstance(inner, dict) and inner else {f"{prefix}{key}": inner}
    return flat


def _refusal(what: str, hint: str, mistakes: list[str]) -> UsageError:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return UsageError(f"{count} in {what}", hint=hint, mistakes=mistakes)


def _read(path: Path) -> dict[str, Any]:
    data = read_yaml(path, hint="kd config show prints a valid file")
    if not isinstance(data, dict):
        raise UsageError(
            f"{path} holds {type(data).__name__}, not keys and values", hint="write lines like `flip: 0.5`"
        )
    return data


def _settings(
    kind: str, overrides: Sequence[str], environ: Mapping[str, str], mistakes: list[str]
) -> list[tuple[str, str, str]]:
    """(dotted key, YAML text, place) of every override, weakest first; malformed ones become mistakes."""
    prefix = f"KD_{kind.upper()}__"
    found = [
        (name[len(prefix) :].lower().replace("__", "."), text, name)
        for name, text in sorted(environ.items())
        if name.startswith(prefix)
    ]
    for item in overrides:
        key, equals, text = item.partition("=")
        if equals and all(key.split(".")):
            found.append((key, text, f"--set {key}"))
        else:
            mistakes.append(f"{item!r}: not of the form key=value or group.key=value (--set)")
    return found


def _put(data: dict[str, Any], key: str, text: str) -> str | None:
    """Set one dotted key to a value given as YAML text; returns what is wrong, or None."""
    try:
        value = parse_yaml(text)
    except YAMLError as error:
        return f"{_short(text)} is not a YAML value{_reason(error)}"
    *groups, last = key.split(".")
    if len(groups) >= MOST_LEVELS:
        return f"{len(groups)} groups inside one another, more than {MOST_LEVELS}"
    for depth, group in enumerate(groups, 1):
        inner = data.get(group)
        if inner is None:
            inner = data[group] = {}
        if not isinstance(inner, dict):
            whole = ".".join(groups[:depth])
            return f"{whole} is {inner!r}, which has no keys in it; --set {whole}=… sets it"
        data = inner
    data[last] = value
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _reason(error: YAMLError) -> str:
    """Why a text is not a YAML value, unless it is only a syntax error."""
    reason = error.problem if isinstance(error, ConstructorError | ComposerError) else None
    return f": {reason}" if reason else ""


def _forget_below(origins: dict[str, str], key: str) -> None:
    """Delete the origins of a value that is now replaced, and of the groups that contain it."""
    groups = key.split(".")
    for old in [o for o in origins if o == key or o.startswith(f"{key}.")]:
        del origins[old]
    for depth in range(1, len(groups)):
        origins.pop(".".join(groups[:depth]), None)


def _below(origins: Mapping[str, str], group: str, otherwise: str) -> str:
    """Origins of a group whose values contradict each other: those of its overridden keys, or that of the whole group."""
    inside = [place for key, place in origins.items() if not group or key.startswith(f"{group}.")]
    changed = dict.fromkeys(place for place in inside if place != otherwise)
    return ", ".join(changed) or _origin(origins, group, otherwise)


def _origin(origins: Mapping[str, str], key: str, otherwise: str) -> str:
    """Where a key's value came from: the origin of the key, or of the nearest group that was set as a whole."""
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return otherwise
