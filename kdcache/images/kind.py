"""What a kind of image source declares of itself. Importing a declaration is cheap: what reads images stands in it by name.

A kind of this project is a file of kdcache/images/kinds whose `KIND` is such a record; other packages name theirs in an entry
point of the group `kd.images`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kdcache.base.plugins import attribute

if TYPE_CHECKING:
    from kdcache.images.source import Source

Plain = dict[str, Any]


@dataclass(frozen=True)
class SourceKind:
    """One kind of image source."""

    name: str
    """What a spec begins with: `name:...`."""
    about: str
    """What it is, in one line."""
    written: str
    """How users write it, as `cifar10:DIR`."""
    source: str | Callable[..., "Source"]
    """What makes a source from `options`, or its place as module:attribute."""
    options: Mapping[str, type]
    """Every option of it and its type: str, int, or dict for another source."""
    needed: tuple[str, ...] = ()
    """Options it cannot be made without."""
    subject: str = ""
    """The option that stands right behind the colon."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `source` that no user chooses."""
    takes_split: bool = False
    """Whether a second colon may name the split."""
    parse: Callable[[str], Plain] | None = None
    """Reads what stands behind the colon in a way of its own: its options."""
    recognise: Callable[[str], Plain | None] | None = None
    """The options that a file or folder is read with, None where it is not of this kind; None: no path is recognised."""
    precedence: int = 50
    """Rank of this kind: of all kinds that recognise a path, the one with the smallest number is taken."""
    embedded: bool = False
    """Whether its images come with the package. For these, a teacher that has a nano size uses it unless a size is named."""
    other_split: str | None = None
    """The split that a training split is judged on, where there is one by convention."""
    splits_are_folders: bool = False
    """Whether a split is a folder, beside which the others lie under their own names."""

    def make(self, **options: Any) -> "Source":
        """A source. Nothing is listed yet."""
        source: Any = attribute(self.source) if isinstance(self.source, str) else self.source
        made: Source = source(**self.fixed, **options)
        return made
