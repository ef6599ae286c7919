"""The sets of images a run is judged on while it is trained, as its record keeps them."""

from typing import Any

from kdcache.base.strict import Strict
from kdcache.store.plan import Dataset
from students.base.validation import Bank, SetName


class ValidationSet(Strict):
    """One set."""

    name: SetName | None = None
    """What its lines in metrics.jsonl are called; None: there is one set, whose lines need no name."""
    data: Dataset
    task: str
    settings: dict[str, Any] = {}
    """Settings of the task that are not its own defaults, but for the bank."""
    bank_from: Bank = None
    """The bank as the recipe says it."""
    bank: Dataset | None = None
    """The images it is compared with, where they are not the training images."""
