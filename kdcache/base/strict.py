"""Base class of all records that are written to disk or read from a user: unknown keys are errors, values never change."""

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from kdcache.base.plain_json import crowd, parse_json, read_json
from kdcache.errors import Damage, KDError

MOST_MISTAKES = 1000
"""How many mistakes of a record are examined one by one; with more, only their number is reported."""


class Strict(BaseModel):
    """A frozen record that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Read the record from untrusted JSON text; ValueError (NotPlain, ValidationError) when it is not such a record."""
        return cls.from_plain(parse_json(raw))

    @classmethod
    def from_file(cls, path: Path, *, what: str, hint: str, error: type[KDError] = Damage) -> Self:
        """Read the record from an untrusted JSON file; when it is not one, raise `error`: "FILE is not WHAT: …"."""
        return cls.from_content(read_json(path, hint=hint, error=error), path, what=what, hint=hint, error=error)

    @classmethod
    def from_content(cls, plain: Any, path: Path, *, what: str, hint: str, error: type[KDError] = Damage) -> Self:
        """Like `from_file`, from the values that the file at `path` holds."""
        try:
            return cls.from_plain(plain)
        except ValidationError as mistakes:
            place, wanted = first_mistake(mistakes)
            wanted = f"{place} {wanted[:1].lower()}{wanted[1:]}" if place else wanted
            raise error(f"{path} is not {what}: {wanted}", hint=hint, path=str(path)) from mistakes

    @classmethod
    def from_plain(cls, value: Any) -> Self:
        """Read the record from plain JSON or YAML values; lists become tuples, because JSON has no tuples."""
        if (reason := crowd(value)) is not None:
            mistake = PydanticCustomError("crowd", "it has {reason}", {"reason": reason})
            raise ValidationError.from_exception_data(cls.__name__, [{"type": mistake, "input": None}])
        return cls.model_validate_json(json.dumps(value))

    def plain(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        result: dict[str, Any] = self.model_dump(mode="json")
        return result


def first_mistake(mistakes: ValidationError) -> tuple[str, str]:
    """Place and text of a record's first mistake: `("recipe.batch", "should be greater than 0")`."""
    if (count := mistakes.error_count()) > MOST_MISTAKES:  # pydantic builds all of them to return one
        return "", f"it has {count:,} mistakes"
    found = mistakes.errors(include_url=False, include_input=False)[0]
    return ".".join(map(str, found["loc"])), found["msg"].removeprefix("Input ").removeprefix("Value error, ")
