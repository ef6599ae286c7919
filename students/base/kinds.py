"""Records whose field `kind` selects the class that reads them; the classes are in a registry, not in a union of types.

    AnyObjective = Annotated[Objective, Kinds(Objective, registry)]      # the type of a field

Input: a plain record with `kind`. Output: the record of that kind; mistakes are reported at the field they are in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kdcache.base.plugins import Registry
from students.base.objective import ByKind


@dataclass(frozen=True)
class Kinds:
    """Metadata of a field whose record is read by its kind."""

    base: type[ByKind]
    registry: Registry[Any]
    usual: str | None = None
    """Kind of a record that has no `kind`; None: the kind is required."""

    def parse(self, value: Any) -> ByKind:
        """The record, read strictly. ValueError where its kind is unknown, ValidationError where a field is wrong."""
        if isinstance(value, self.base):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"keys and values with a kind, such as {{kind: {self.registry.names()[0]}}}")
        kind, names = value.get("kind", self.usual), self.registry.names()
        if kind is None:
            raise ValueError(f"`kind` is missing; kinds are {', '.join(names)}")
        if not isinstance(kind, str) or kind not in self.registry:
            near = get_close_matches(str(kind), names, 1)
            advice = f"did you mean {near[0]}?{self.registry.hidden()}" if near else self.registry.known()
            raise ValueError(f"no {self.registry.what} is of the kind {str(kind)[:60]!r}; {advice}")
        record: ByKind = self.registry.get(kind).from_plain({key: its for key, its in value.items() if key != "kind"})
        return record

    def models(self) -> Iterator[type[BaseModel]]:
        """The records of all kinds, whose keys are suggested for a misspelt one."""
        for _, record in self.registry:
            yield record

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(lambda record: record.plain())
        )
