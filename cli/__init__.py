"""The command line, with one small file per command group; `kdcache` and `students` do the work."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of `kd`."""
    from cli.stopping import Stop, watch

    # Before anything else, because a signal may come at any moment.
    watch.begin()
    try:
        code = _work()
    except Stop as stop:  # it came outside of a command, which would have handled it
        code = stop.code
        watch.announce()
    watch.over(code)
    sys.exit(code)


def _work() -> int:
    import warnings

    from cli import streams

    streams.prepare()
    from cli.app import run

    # Hide what other libraries log about retries and loading; a user can set these variables to see it.
    for name in ("HF_HUB_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of other libraries mean nothing to a user
    return run(sys.argv[1:])
