"""The command line. One small file a command group; all work is done by `kdcache` and `students`."""

import os
import signal
import sys
import warnings
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of `kd`."""
    from cli.app import run

    # What other libraries tell of their retries and loading is noise here; whoever wants it sets these.
    for name in ("HF_HUB_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # those of other libraries, which say nothing to a user
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    from cli.output import Terminated

    raise Terminated
