"""One case of the fuzz test: which golden, what is done to it. Plain JSON, so that a failure can be replayed from its line."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

Change = dict[str, Any]
"""`how`, `where`, and what the way needs"""


@dataclass(frozen=True)
class Case:
    """What a stranger may have done to a cache or a run."""

    target: str
    golden: str
    """caches/hdf5"""
    file: str
    """the file that is changed, below it; empty where the change names its own"""
    changes: tuple[Change, ...] = field(default_factory=tuple)

    @property
    def line(self) -> str:
        """As text on one line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, line: str) -> Self:
        """Back from its line."""
        record = json.loads(line)
        return cls(**{**record, "changes": tuple(record["changes"])})
