"""The base of everything that is written to disk or read from a user: unknown keys are errors, values never change."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A frozen record that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)

    @classmethod
    def from_plain(cls, value: Any) -> Self:
        """Read from plain JSON or YAML values (lists become tuples, as JSON has no other word for them)."""
        return cls.model_validate_json(json.dumps(value))

    def plain(self) -> dict[str, Any]:
        """The same record as plain JSON values."""
        result: dict[str, Any] = self.model_dump(mode="json")
        return result
