"""The declaration of a kind of image source. Importing it is cheap, because it refers to the code that reads images by name.

Each kind of this project is a file in kdcache/images/kinds whose `KIND` is such a record; other packages name theirs in an entry
point of the group `kd.images`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kdcache.base.plugins import attribute

if TYPE_CHECKING:
    from kdcache.images.source import Source

Plain = dict[str, Any]
OWN = "own"
"""The training recipe for images of all kinds that have none of their own."""


@dataclass(frozen=True)
class SourceKind:
    """One kind of image source."""

    name: str
    """Name of the kind, with which a spec begins: `name:...`."""
    about: str
    """One-line description for lists."""
    written: str
    """Form of its specs, such as `cifar10:DIR`."""
    source: str | Callable[..., "Source"]
    """Function that makes a source from the options, or a "module:attribute" reference to it."""
    options: Mapping[str, type]
    """All its options and their types: str, int, or dict for another source."""
    needed: tuple[str, ...] = ()
    """Options that are required."""
    subject: str = ""
    """The option whose value directly follows the colon of a spec."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of `source`, which users cannot choose."""
    takes_split: bool = False
    """Whether a spec may name a split after a second colon."""
    parse: Callable[[str], Plain] | None = None
    """Function that parses the text after the colon into options; None: the usual syntax."""
    recognise: Callable[[str], Plain | None] | None = None
    """Function from a path to the options to read it with, or None if it is not of this kind. Without it no path is
    recognised as this kind.
    """
    precedence: int = 50
    """Order of recognition: if several kinds recognise a path, the one with the smallest number is used."""
    embedded: bool = False
    """Whether its images come with the package. For such images, the default size of a teacher is one in the package."""
    painted_side: str = ""
    """The option that is the side length of its pictures, where these are generated at any size."""
    recipe: str = OWN
    """The training recipe for its images that is used if neither the user nor the student names one."""
    other_split: str | None = None
    """The conventional validation split that belongs to the training split; None if there is none."""
    splits_are_folders: bool = False
    """Whether splits are sibling folders named like the splits."""

    def make(self, **options: Any) -> "Source":
        """Make a source; nothing is listed yet."""
        source: Any = attribute(self.source) if isinstance(self.source, str) else self.source
        made: Source = source(**self.fixed, **options)
        return made
