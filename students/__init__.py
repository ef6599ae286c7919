"""Students: small networks, trained from the signals of a teacher. `kdcache` never imports from here.

recipe -> plan -> train (images, targets, objectives) -> run -> judging by tasks -> report, compare, export
"""

from collections.abc import Iterable
from pathlib import Path

from kdcache.config.folders import add_folders


def _presets_of_plugins() -> Iterable[Path]:
    from students.base.plugins import plugins

    return [plugin.presets for plugin in plugins() if plugin.presets is not None]


add_folders(_presets_of_plugins)
