"""Work done in a process of its own, of which nothing is left in this one: its memory, its modules, its threads.

Input: a module that calls `serve`, and a task as JSON has it. Output: its result. Its KDErrors are raised here as they
were there. It does not outlive this process: when the pipe to this process closes, it ends.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any

from kdcache import errors
from kdcache.base.children import out_of_reach
from kdcache.errors import KDError

_STDIN = 0
_MESSAGE = "told "
"""Prefix of the lines that `send` writes."""


class Ended(Exception):
    """The process ended without returning a result."""

    def __init__(self, code: int, told: str) -> None:
        super().__init__(f"exit code {code}")
        self.code, self.told = code, told


def run_module(module: str, task: object, on_message: Callable[[Any], None] | None = None) -> Any:
    """Run the module in a fresh process and hand it the task. The messages it sends on the way go to `on_message`."""
    # -P: a file in the current folder must not stand in for a module.
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    command, env = [sys.executable, "-P", "-m", module], os.environ | {"PYTHONPATH": path}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as told,
        _started(command, env, told) as process,
    ):
        last = _exchange(process, json.dumps(task), on_message or (lambda value: None))
        told.seek(0)
        if process.returncode or last is None:
            raise Ended(process.returncode, told.read())
    answer = json.loads(last)
    if "error" in answer:
        raise _error(**answer["error"])
    return answer["said"]


def _started(command: list[str], env: dict[str, str], told: IO[str]) -> "subprocess.Popen[str]":
    with out_of_reach():
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, env=env, encoding="utf-8"
        )


def _exchange(process: "subprocess.Popen[str]", task: str, on_message: Callable[[Any], None]) -> str | None:
    """The last line it wrote; lines that begin as those of `send` are passed on as they come."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(task + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it is gone already; its exit code says more
    last = None
    for line in process.stdout:
        if line.startswith(_MESSAGE):
            on_message(json.loads(line.removeprefix(_MESSAGE)))
        else:
            last = line
    process.wait()
    return last


def send(value: object) -> None:
    """Send a message to the parent process while the task is running."""
    sys.stdout.write(f"{_MESSAGE}{json.dumps(value)}\n")
    sys.stdout.flush()


def _error(kind: str, message: str, hint: str | None, details: dict[str, Any]) -> KDError:
    known = getattr(errors, kind)
    assert issubclass(known, KDError)
    found: KDError = known(message, hint=hint, **details)
    return found


def serve(work: Callable[[Any], object]) -> None:
    """The main of such a module: read a task, run it, and send back the result."""
    task = bytearray()
    while not task.endswith(b"\n"):
        piece = os.read(_STDIN, 1 << 16)
        if not piece:
            sys.exit(1)
        task += piece
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answered: dict[str, object] = {"said": work(json.loads(task))}
    except KDError as error:
        several = {name: told for name, told in error.details.items() if name == "mistakes"}
        answered = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint, "details": several}}
    sys.stdout.write(json.dumps(answered) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    os.read(_STDIN, 1)
    os._exit(1)
