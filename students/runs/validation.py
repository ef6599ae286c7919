"""Record of the validation sets on which a run is judged during training."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kdcache.base.strict import Strict
from kdcache.store.plan import Dataset
from students.base.validation import Bank, SetName

Column = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
TruthDigests = Annotated[dict[Column, Digest], Field(max_length=64)]
"""Truth column -> digest of its values for all images of a dataset."""


class ValidationSet(Strict):
    """One validation set."""

    name: SetName | None = None
    """Name of the set in metrics.jsonl; None: there is a single unnamed set."""
    data: Dataset
    task: str
    settings: dict[str, Any] = {}
    """Settings of the task that differ from its defaults, except the bank."""
    bank_from: Bank = None
    """Bank as it is written in the recipe."""
    bank: Dataset | None = None
    """Images the task compares with; None: the training images."""
    truths: TruthDigests = {}
    """Truth column the task needs, beside classes -> digest of its values for all images of the set."""

    @model_serializer(mode="wrap")
    def _leave_out_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fields added after the first release are written only where they are used."""
        return {name: value for name, value in write(self).items() if name != "truths" or value}
