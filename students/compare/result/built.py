"""Size and build time of one cache of a comparison."""

from kdcache.base.strict import Strict
from students.compare.result.sums import Spread


class Built(Strict):
    """What one cache takes on disk and in time."""

    signals: dict[str, str]
    """Signal -> codec."""
    bytes: int
    """Size of this cache in bytes. It has few rows a part, so the headers of the parts are a large share of it."""
    row_bytes: float
    """Bytes that one view of one image takes."""
    image: Spread
    """Seconds for one view of one image: the teacher's forward pass, without costs paid once a process, such as
    loading the teacher."""
    views: int
    rows: int

    @property
    def seconds(self) -> float:
        """Seconds that the whole build took the teacher."""
        return self.image.mean * self.rows * self.views
