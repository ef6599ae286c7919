"""Record of the validation sets on which a run is judged during training."""

from typing import Any

from kdcache.base.strict import Strict
from kdcache.store.plan import Dataset
from students.base.validation import Bank, SetName


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
