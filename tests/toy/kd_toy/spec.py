"""The numbers of a student of this family: a preset's, and those a run keeps."""

from kdcache.networks.bounds import Width
from students.families.preset import Preset
from students.families.spec import StudentSpec


class ToyPreset(Preset):
    """A file of presets/students with `family: toy`."""

    width: Width
    """Channels of the network."""


class ToySpec(StudentSpec):
    """A student for certain images."""

    width: Width
    """Channels of the network."""

    @property
    def described(self) -> str:
        """For lists and errors."""
        return f"a reader of {self.width} channels"
