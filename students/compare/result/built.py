"""A cache of a comparison, in numbers."""

from kdcache.base.strict import Strict
from students.compare.result.sums import Spread


class Built(Strict):
    """A cache."""

    signals: dict[str, str]
    """Signal -> codec."""
    bytes: int
    """Size of this cache in bytes, including the headers of its small parts."""
    row_bytes: float
    """Bytes that one view of one image takes."""
    image: Spread
    """Seconds for one view of one image: the teacher's forward pass, without costs paid once a process, such as
    loading the teacher."""
    views: int
    rows: int

    @property
    def seconds(self) -> float:
        """Of the whole build."""
        return self.image.mean * self.rows * self.views
