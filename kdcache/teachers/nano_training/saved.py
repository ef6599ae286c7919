"""The saved state of a training that is not finished, beside the weights file that it will write."""

import pickle
from pathlib import Path
from typing import Any

import torch

from kdcache.errors import Damage, Mismatch


class Saved:
    """One file, replaced after each portion of the pictures and removed at the end."""

    def __init__(self, path: Path, training: dict[str, str]) -> None:
        """`training`: everything that must be equal to continue, such as recipe, seed and number of pictures."""
        self.path, self._training = path, training

    def save(self, done: int, state: dict[str, Any]) -> None:
        """Save the state after this many portions."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f"{self.path.name}.unfinished")
        torch.save({"training": self._training, "done": done, "state": state}, unfinished)
        unfinished.replace(self.path)

    def load(self) -> tuple[int, dict[str, Any] | None]:
        """The number of portions that are done, and the state after them; 0 and None if nothing is saved."""
        if not self.path.is_file():
            return 0, None
        again = f"to train from the start: rm {self.path}"
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            training, done, state = kept["training"], int(kept["done"]), dict(kept["state"])
        except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
            raise Damage(f"the saved state of a training cannot be read: {self.path}", hint=again) from error
        if training != self._training or done < 1:
            message = f"{self.path} is of a training with other options or another version of kd or torch"
            raise Mismatch(message, hint=f"choose another --out, or, {again}")
        return done, state

    def remove(self) -> None:
        """Remove the file: the weights are written."""
        self.path.unlink(missing_ok=True)
