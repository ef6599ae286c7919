"""For every test: in CI hypothesis tries the same examples each time, so that a red run is about the change; at a desk it goes on
looking for new ones."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
