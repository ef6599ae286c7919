"""Counts inside a command and its children: Python imports this by itself in every process that has this folder on PYTHONPATH.

Input: TRIPS_LOG, the file to add to; TRIPS_ROOT and TRIPS_PACKAGES, whose source files are meant; TRIPS_FIRST, which only the
command itself finds. Output: a line of JSON a happening, written when it happens, since a child may be killed at any moment.

Nothing is looked up by the path of a module, so that files may move: a scan is the method `scan` of any class of the packages, an
opening the method `open` of a class called `Store` or `Cache`. Plans are seen as the files that are opened, whoever opens them.
"""

import functools
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import FrameType, ModuleType
from typing import Any

_LOG = os.environ.get("TRIPS_LOG", "")
_ROOT = os.environ.get("TRIPS_ROOT", "")
_OURS = tuple(os.path.join(_ROOT, name, "") for name in os.environ.get("TRIPS_PACKAGES", "").split(os.pathsep))
_FIRST = os.getpid() if os.environ.pop("TRIPS_FIRST", "") else 0
_OPENED = {"Store", "Cache"}
_PLAN = "plan.json"
_A_FUNCTION = inspect.CO_OPTIMIZED
"""of code objects: the bodies of modules and classes have it not"""
_within = threading.local()
"""what this thread is in the middle of, by kind: a source that scans another, a cache that opens its store and that a plan"""


def _note(kind: str, what: str, **more: object) -> None:
    process = "kd" if os.getpid() == _FIRST else _called()
    line = {"kind": kind, "what": what, "pid": os.getpid(), "first": os.getpid() == _FIRST, "process": process, **more}
    file = os.open(_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def _called() -> str:
    """What a child was started as, without the paths of this machine."""
    words = sys.orig_argv
    for option in ("-m", "-c"):
        if option in words[:-1]:
            return f"python {option} {words[words.index(option) + 1]}"
    return "python"


def _name(filename: str) -> str | None:
    """A file of the packages as it is called in the project; None for any other."""
    return os.path.relpath(filename, _ROOT) if filename.startswith(_OURS) else None


def _sites() -> list[str]:
    """The lines of the packages that led here, the nearest first."""
    found, frame = [], sys._getframe(1)
    at: FrameType | None = frame
    while at is not None:
        if (name := _name(at.f_code.co_filename)) is not None:
            found.append(f"{name}:{at.f_lineno} {at.f_code.co_qualname}")
        at = at.f_back
    return found


def _counted(kind: str, what: str, work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    def call(*args: Any, **named: Any) -> Any:
        depth = getattr(_within, kind, 0)
        _note(kind, what, inner=depth > 0, sites=_sites())
        setattr(_within, kind, depth + 1)
        try:
            return work(*args, **named)
        finally:
            setattr(_within, kind, depth)

    return call


def _count(kind: str, method: str, owner: type) -> None:
    """Put a counting method in the place of a class's own; what it inherits is counted where it stands."""
    found = vars(owner).get(method)
    if isinstance(found, classmethod | staticmethod):
        setattr(owner, method, type(found)(_counted(kind, owner.__name__, found.__func__)))
    elif inspect.isfunction(found):
        setattr(owner, method, _counted(kind, owner.__name__, found))


def _after_import(module: ModuleType, filename: str) -> None:
    if module.__name__ == "torch":
        _note("torch", "torch", sites=_sites())
    if (name := _name(filename)) is None:
        return
    _note("imported", name)
    for owner in list(vars(module).values()):
        if inspect.isclass(owner) and owner.__module__ == module.__name__:
            _count("scan", "scan", owner)
            if owner.__name__ in _OPENED:
                _count("open", "open", owner)


def _watch_imports() -> None:
    load = SourceFileLoader.exec_module

    def exec_module(self: SourceFileLoader, module: ModuleType) -> None:
        load(self, module)
        _after_import(module, self.path)

    setattr(SourceFileLoader, "exec_module", exec_module)  # noqa: B010 - a type checker minds the plain assignment


def _watch_plans() -> None:
    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(args[0], str | bytes) or os.path.basename(os.fsdecode(args[0])) != _PLAN:
            return
        if args[2] & os.O_ACCMODE == os.O_RDONLY:
            _note("plan", _PLAN, inner=getattr(_within, "open", 0) > 0, sites=_sites())

    sys.addaudithook(hear)


def _watch_files() -> None:
    """Name every file of the packages once, when the first of its functions is entered, by whichever thread."""
    seen: set[str] = set()

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_filename in seen or not code.co_flags & _A_FUNCTION:
            return
        if code.co_name.startswith("<") and code.co_name != "<lambda>":
            return  # a comprehension: that of a module's body is no function, any other stands in one that is entered
        seen.add(code.co_filename)
        if (name := _name(code.co_filename)) is not None:
            _note("entered", name)

    threading.setprofile(look)
    sys.setprofile(look)


if _LOG:
    _watch_imports()
    _watch_plans()
    if _FIRST:
        _watch_files()
