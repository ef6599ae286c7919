"""The declaration of a family of teachers. Importing it does not import torch, because it refers to heavy code by name.

Each family of this project is a folder in kdcache/teachers/families whose `FAMILY` is such a record; other packages name theirs
in an entry point of the group `kd.teachers`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcache.base.plugins import attribute
from kdcache.errors import Unavailable

if TYPE_CHECKING:
    from kdcache.signals.teacher import Preprocess
    from kdcache.teachers.frozen import Candidate
    from kdcache.teachers.request import Request

NANO = "nano"
"""Name of the smallest size whose weights come in the package."""
HEAD_SIGNAL = "logits"
"""The signal that a fitted head emits, for every family."""
LOGITS = (HEAD_SIGNAL,)


@dataclass(frozen=True)
class Packaged:
    """A size of a family that is trained on an embedded set, with weights in the family's package."""

    folder: Path
    """Folder in the package that contains the weights, possibly in a subfolder."""
    file: str
    """Path of the weights file relative to `folder`; a new training writes the same path below another folder."""
    preprocess: str
    """Reference ("module:attribute") to the Preprocess of its images."""
    size: str = NANO
    """Name for `--size`."""
    has_classes: bool = True
    """Whether its weights include a classifier."""
    trainer: str | None = None
    """Reference ("module:attribute") to the Trainer that trains it again; None if it cannot be trained here."""

    def weights(self) -> Path:
        """The weights file. Its safetensors header records how it was made and its accuracy."""
        path = self.folder / self.file
        if not path.is_file():
            raise Unavailable(f"the weights of size {self.size} are not in this installation: {path.name} is missing")
        return path

    def pixels(self) -> "Preprocess":
        """Preprocessing of its images."""
        preprocess: Preprocess = attribute(self.preprocess)
        return preprocess


@dataclass(frozen=True)
class TeacherFamily:
    """One family of teachers."""

    name: str
    """Name for `--teacher`: letters, digits, `-` and `_`."""
    about: str
    """One-line description for lists."""
    opener: str | Callable[["Request"], "Candidate"]
    """Function that loads a teacher, or a "module:function" reference to it."""
    by_model: bool = False
    """Whether its teachers are named NAME:MODEL. Such a family has no sizes."""
    sizes: str | None = None
    """Its published sizes: the name of a preset in configs/teachers, or the path of such a file. None if it has none."""
    usual_signals: tuple[str, ...] | str = ()
    """Signals that a cache stores by default; empty: those in `sizes`, else logits. With `by_model` it may also be a
    "module:function" reference to a function of the full name and `--weights` that returns them."""
    headless: bool | None = False
    """Whether its published weights have no classifier, so that logits need a fitted head. None: it depends on the model."""
    published: bool = False
    """Whether kd can fetch its weights if the user gives none."""
    own_pixels: bool = False
    """Whether its files always specify the preprocessing, so that it is never taken from the plan of an earlier build."""
    packaged: tuple[Packaged, ...] = ()
    """Its sizes in the package, the default one for embedded sets first."""

    @property
    def written(self) -> str:
        """The form of its teachers' names: `clip`, or `timm:NAME`."""
        return f"{self.name}:NAME" if self.by_model else self.name

    def open(self, request: "Request") -> "Candidate":
        """Load the requested teacher."""
        opener: Any = attribute(self.opener) if isinstance(self.opener, str) else self.opener
        candidate: Candidate = opener(request)
        return candidate

    def signals_kept(self, name: str, weights: str | None) -> tuple[str, ...]:
        """Signals that a cache of the teacher with this full name stores by default."""
        if isinstance(self.usual_signals, str):
            names: tuple[str, ...] = attribute(self.usual_signals)(name.partition(":")[2], weights)
            return names
        if self.usual_signals or self.sizes is None:
            return self.usual_signals or LOGITS
        from kdcache.teachers.loading.sizes import family_facts

        return family_facts(self.sizes).signals

    def needs_head(self, size: str | None) -> bool:
        """Whether logits of this size need a fitted head."""
        own = self.find_packaged(size)
        return not own.has_classes if own is not None else bool(self.headless)

    def find_packaged(self, size: str | None) -> Packaged | None:
        """The size in the package of this name; None if there is none."""
        return next((own for own in self.packaged if own.size == size), None)

    def in_package(self, size: str) -> Packaged:
        """The size in the package of this name, which must exist."""
        own = self.find_packaged(size)
        assert own is not None, f"{self.name} has no size {size} in its package"
        return own
