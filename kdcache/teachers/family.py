"""What a family of teachers declares of itself. Importing a declaration imports no torch: whatever is heavy stands in it by name.

A family of this project is a folder of kdcache/teachers/families whose `FAMILY` is such a record; other packages name theirs in
an entry point of the group `kd.teachers`.
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
"""Name of the size whose weights come in the package."""
HEAD_SIGNAL = "logits"
"""What a fitted head emits, whatever the family it is put on."""
LOGITS = (HEAD_SIGNAL,)


@dataclass(frozen=True)
class Nano:
    """The smallest size of a family: trained on an embedded set, its weights in the package that brings the family."""

    folder: Path
    """Folder of the package that the weights lie below."""
    file: str
    """Path of the weights file below `folder`; training it again writes the same path below another folder."""
    preprocess: str
    """The Preprocess it sees images through, as module:attribute."""
    has_classes: bool = True
    """Whether its weights bring a classifier."""
    trainer: str | None = None
    """What trains it again (nano_training.trainer.Trainer), as module:attribute; None where it cannot be."""


@dataclass(frozen=True)
class TeacherFamily:
    """One family of teachers."""

    name: str
    """What `--teacher` calls it: letters, digits, `-` and `_`."""
    about: str
    """What it is, in one line."""
    opener: str | Callable[["Request"], "Candidate"]
    """Function that loads a teacher, or its place as module:function."""
    by_model: bool = False
    """Whether a teacher is written NAME:MODEL. Such a family has no sizes."""
    sizes: str | None = None
    """Its published sizes: the name of a preset in configs/teachers, or the path of such a file. None where it has none."""
    usual_signals: tuple[str, ...] | str = ()
    """Signals a cache keeps when none are named; empty: as `sizes` say, else logits. Of a family by model also the place, as
    module:function, of what tells them from the full name and `--weights`."""
    headless: bool | None = False
    """Whether its published weights bring no classes, so that logits need a fitted head. None: it depends on the model."""
    published: bool = False
    """Whether its weights are fetched when they are not given."""
    own_pixels: bool = False
    """Whether its files always say how pixels are prepared, so that the plan of an earlier build has no say in it."""
    nano: Nano | None = None
    """Its size in the package, if there is one."""

    @property
    def written(self) -> str:
        """How users write it: `clip`, or `timm:NAME`."""
        return f"{self.name}:NAME" if self.by_model else self.name

    def open(self, request: "Request") -> "Candidate":
        """Load the teacher that is requested."""
        opener: Any = attribute(self.opener) if isinstance(self.opener, str) else self.opener
        candidate: Candidate = opener(request)
        return candidate

    def signals_kept(self, name: str, weights: str | None) -> tuple[str, ...]:
        """Signals a cache keeps of a teacher of this full name when none are named."""
        if isinstance(self.usual_signals, str):
            told: tuple[str, ...] = attribute(self.usual_signals)(name.partition(":")[2], weights)
            return told
        if self.usual_signals or self.sizes is None:
            return self.usual_signals or LOGITS
        from kdcache.teachers.loading.sizes import family_facts

        return family_facts(self.sizes).signals

    def needs_head(self, size: str | None) -> bool:
        """Whether logits of a size need a fitted head."""
        if size == NANO and self.nano is not None:
            return not self.nano.has_classes
        return bool(self.headless)

    @property
    def nano_file(self) -> str:
        """Path of the weights file of its nano size, below the folder of a package or of a training."""
        assert self.nano is not None, "this family has no nano size"
        return self.nano.file

    def nano_weights(self) -> Path:
        """Weights file of its nano size; its safetensors header says how it was made and how good it is."""
        path = self.nano.folder / self.nano.file if self.nano is not None else None
        if path is None or not path.is_file():
            missing = "" if path is None else f": {path.name} is missing"
            raise Unavailable(
                f"the weights of {self.name}-nano are not in this installation{missing}",
                hint=f"kd teacher train-nano {self.name}",
            )
        return path

    def nano_preprocess(self) -> "Preprocess":
        """How images are prepared for its nano size."""
        assert self.nano is not None, "this family has no nano size"
        preprocess: Preprocess = attribute(self.nano.preprocess)
        return preprocess
