"""kd commands in one process, watched: which examples a student was trained on, and how many rows of truths were read at a time.

python watched.py LOG KILL COMMANDS.json: what is seen is appended to LOG.RANK, an object a line; at the KILL-th piece (0: at
none) the process is killed. Output: exit codes and errors of the commands.
"""

import contextlib
import io
import json
import os
import signal
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from cli.app import run
from kdcache.images.truths import Truths

Asker: Any = import_module("kd_toy.asker").Asker
LOG, KILL = f"{sys.argv[1]}.{os.environ.get('RANK', 0)}", int(sys.argv[2])


def log(line: dict[str, Any]) -> None:
    with open(LOG, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


pieces, batch, read = 0, Asker.batch, Truths.read


def watched_batch(self: Any, pixels: Any, signals: Any, truths: Any, spec: Any) -> Any:
    global pieces
    if truths:
        pieces += 1
        if pieces == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        log({"questions": [each.question for each in truths["questions"]], "text": truths["text"]})
    return batch(self, pixels, signals, truths, spec)


def watched_read(self: Truths, names: Any, rows: Any) -> Any:
    log({"read": len(rows), "columns": list(names)})
    return read(self, names, rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Asker.batch, Truths.read = watched_batch, watched_read  # type: ignore[method-assign]
    for line in json.loads(Path(sys.argv[3]).read_text("utf-8")):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(line)
        sys.stdout.write(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}) + "\n")
