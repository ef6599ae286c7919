"""Do work in a separate process, so that its memory, modules and threads are gone afterwards.

Input: a module that calls `serve`, and a task of JSON values. Output: its result. A KDError raised there is raised here
too. The child does not outlive this process: it ends when the pipe to this process closes.
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
_MESSAGE = "message "
"""Prefix of the lines that `send` writes."""


class Ended(Exception):
    """The process ended without returning a result."""

    def __init__(self, code: int, stderr: str) -> None:
        super().__init__(f"exit code {code}")
        self.code, self.stderr = code, stderr


def run_module(module: str, task: object, on_message: Callable[[Any], None] | None = None) -> Any:
    """Run the module in a fresh process and hand it the task. The messages it sends on the way go to `on_message`."""
    # -P: a file in the current folder must not stand in for a module.
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    command, env = [sys.executable, "-P", "-m", module], os.environ | {"PYTHONPATH": path}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr,
        _started(command, env, stderr) as process,
    ):
        last = _exchange(process, json.dumps(task), on_message or (lambda value: None))
        stderr.seek(0)
        if process.returncode or last is None:
            raise Ended(process.returncode, stderr.read())
    answer = json.loads(last)
    if "error" in answer:
        raise _error(**answer["error"])
    return answer["result"]


def _started(command: list[str], env: dict[str, str], stderr: IO[str]) -> "subprocess.Popen[str]":
    with out_of_reach():
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=env, encoding="utf-8"
        )


def _exchange(process: "subprocess.Popen[str]", task: str, on_message: Callable[[Any], None]) -> str | None:
    """Send the task and return the child's last line of output; lines written by `send` go to `on_message` as they come."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(task + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # the child has ended already; its exit code says more
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
    error: KDError = known(message, hint=hint, **details)
    return error


def serve(work: Callable[[Any], object]) -> None:
    """Main function of a module that `run_module` runs: read the task, run `work` on it, send back the result."""
    task = bytearray()
    while not task.endswith(b"\n"):
        piece = os.read(_STDIN, 1 << 16)
        if not piece:
            sys.exit(1)
        task += piece
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answer: dict[str, object] = {"result": work(json.loads(task))}
    except KDError as error:
        details = {name: value for name, value in error.details.items() if name == "mistakes"}
        answer = {"error": {"kind": error.kind, "message": error.message, "hint": error.hint, "details": details}}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    os.read(_STDIN, 1)
    os._exit(1)
