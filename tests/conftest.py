"""For every test: in CI hypothesis tries the same examples each time, so that a red run is about the change; at a desk it goes on
looking for new ones. Processes the tests start hear Ctrl-C, also where a script has put the tests into the background.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as a shell has it for a command with `&`, and children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
