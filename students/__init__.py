"""Students: small networks, and their training from a stream of what a teacher said. `kdcache` never imports from here.

recipe -> scene -> tellers -> feed -> objective -> train -> run -> tasks -> report
"""

from collections.abc import Iterable
from pathlib import Path

from kdcache.config.folders import add_folders


def _presets_of_plugins() -> Iterable[Path]:
    from students.base.plugins import plugins

    return [plugin.presets for plugin in plugins() if plugin.presets is not None]


add_folders(_presets_of_plugins)
