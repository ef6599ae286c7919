"""The command line. One small file a command group; all work is done by `kdcache` and `students`."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of `kd`."""
    from cli.stopping import Stop, watch

    # First of all: a signal may come at any moment, and every file that is opened takes the number of a closed stream.
    watch.begin()
    try:
        code = _work()
    except Stop as stop:  # before or after there was a command to tell it
        code = stop.code
        watch.announce()
    watch.over(code)
    sys.exit(code)


def _work() -> int:
    import warnings

    from cli import streams

    streams.prepare()
    from cli.app import run

    # What other libraries tell of their retries and loading is noise here; whoever wants it sets these.
    for name in ("HF_HUB_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # those of other libraries, which say nothing to a user
    return run(sys.argv[1:])
