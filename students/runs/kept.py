"""Lists the checkpoints of a run by their names, without importing torch."""

import re
import shlex
from pathlib import Path

from kdcache.base.foreign import refuse_links
from kdcache.errors import Damage

STATE = "state.json"
_NAME = re.compile(r"\d{8,16}")


def checkpoints(run: Path) -> list[Path]:
    """Checkpoint folders, oldest first."""
    found = sorted(path for path in (run / "checkpoints").glob("[0-9]*") if _NAME.fullmatch(path.name))
    refuse_links(
        found, hint="a run's files must be in its own folder: replace the link by the file it points to, or remove it"
    )
    for path in found:
        if not path.is_dir():
            hint = f"remove it: rm {shlex.quote(str(path))}"
            raise Damage(f"{path} is not a folder, so it is no checkpoint", hint=hint, path=str(path))
    return [path for path in found if (path / STATE).is_file()]
