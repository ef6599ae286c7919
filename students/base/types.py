"""Numbers with bounds that several records share."""

from typing import Annotated, Literal

from pydantic import Field

from students.base import limits

Count = Annotated[int, Field(ge=1, le=limits.STEPS)]
Images = Annotated[int, Field(ge=1, le=limits.BATCH)]
Side = Annotated[int, Field(ge=1, le=limits.SIDE)]
Passes = Annotated[float, Field(gt=0.0, le=limits.EPOCHS)]
DropPath = Annotated[float, Field(ge=0.0, lt=1.0)]
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,170}$")]
"""A teacher's signal by its name or, where several caches have one of that name, as NAME.SIGNAL with the name of the cache."""
Precision = Literal["float32", "bfloat16", "float16"]
LOGITS = "logits"
